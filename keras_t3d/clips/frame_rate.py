"""Frames of a video at a chosen rate: those nearest in time, in NumPy.

`keras_t3d.clips.tensorflow_frame_rate` has the TensorFlow forms. Times are integers, in
microseconds, so that both return the same frames.
"""

from __future__ import annotations

import numpy as np

from keras_t3d.clips.clip_spec import ClipSpec
from keras_t3d.errors import InvalidArgumentError

SECOND = 1_000_000  # microseconds
ROUNDING = 2  # microseconds; rounding changes the difference of two times by at most this
UNKNOWN_TIMES = (
    "Clips at a frame rate need records that hold the frames' times or their rate: convert the "
    "videos again, or leave `fps` and `target_fps` out"
)
TOO_SHORT = "A video is shorter than the clip: use `short` 'loop' or 'pad' in place of 'error'"


def even_times(num_frames: int, fps: float) -> np.ndarray:
    """Returns the times of frames at a constant rate: int64 (num_frames,), in microseconds."""
    return np.floor(np.arange(num_frames) * (SECOND / fps) + 0.5).astype(np.int64)


def frames_for_clips(num_frames: int, times: np.ndarray, clip_spec: ClipSpec) -> np.ndarray:
    """Returns the frames of a video that its clips are made of: all, or those at a rate.

    Args:
        num_frames: frames of the video.
        times: see `frames_at_rate`; empty if unknown.
        clip_spec: the clips.

    Returns:
        int64 array of frame indices, at least one.

    Raises:
        InvalidArgumentError: if the ClipSpec has a rate and the times are unknown.
    """
    if clip_spec.fps is None:
        return np.arange(num_frames)
    check_times(times)
    return frames_at_rate(times, clip_spec.fps)


def check_times(times: np.ndarray) -> None:
    """Raises an InvalidArgumentError if the times of a video are unknown."""
    if not len(times):
        raise InvalidArgumentError(f"{UNKNOWN_TIMES}. Received: neither", argument="fps")


def frames_at_rate(times: np.ndarray, fps: float) -> np.ndarray:
    """Returns the frames of a video at a constant rate, from its first frame to its last.

    Of two frames as near, the later one is taken. A frame is held where none is nearer.

    Args:
        times: int64 (frames,). When each frame is shown, in microseconds, in ascending order.
        fps: frames per second to return.

    Returns:
        int64 array of frame indices, at least one.

    Example:

    ```python
    frames_at_rate(even_times(10, fps=25.0), fps=10.0)  # [0, 3, 5, 8]
    ```
    """
    seconds = (_end(times) - times[0]) / SECOND
    count = max(int(np.ceil(seconds * fps)), 1)
    return nearest_frames(times, times[0] + even_times(count, fps))


def random_clip_at_rate(
    times: np.ndarray, num_frames: int, fps: float, draw: float, *, short: str = "loop"
) -> np.ndarray:
    """Returns the frames of a clip at a constant rate that starts at any frame of the video.

    Args:
        times: int64 (frames,). When each frame is shown, in microseconds, in ascending order.
        num_frames: frames in the clip.
        fps: frames per second of the clip.
        draw: number in [0, 1) that picks the start.
        short: treatment of videos shorter than the clip: `"loop"` starts again, `"pad"` repeats
            the last frame, `"error"` raises.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        InvalidArgumentError: if the video is too short with `"error"`.

    Example:

    ```python
    random_clip_at_rate(even_times(25, fps=25.0), num_frames=3, fps=5.0, draw=0.0)  # [0, 5, 10]
    ```
    """
    offsets = even_times(num_frames, fps)
    last = max(int(np.count_nonzero(times + offsets[-1] < _end(times))) - 1, 0)
    wanted = times[min(int(draw * (last + 1)), last)] + offsets
    if short == "loop":
        period = times[-1] - times[0] + _mean_gap(times)
        wanted = times[0] + (wanted - times[0]) % period
        return nearest_frames(np.append(times, times[0] + period), wanted) % len(times)
    if short == "error" and wanted[-1] >= _end(times):
        seconds = (_end(times) - times[0]) / SECOND
        raise InvalidArgumentError(
            f"{TOO_SHORT}. Received: a video of {seconds:.2f} s for a clip of "
            f"{offsets[-1] / SECOND:.2f} s",
            argument="short",
        )
    return nearest_frames(times, wanted)


def nearest_frames(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the index of the frame nearest to each wanted time, of two the later: int64."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    is_later = times[after] - wanted <= wanted - times[before] + ROUNDING
    return np.where(is_later, after, before).astype(np.int64)


def _mean_gap(times: np.ndarray) -> int:
    return max(int(times[-1] - times[0]) // max(len(times) - 1, 1), 1)


def _end(times: np.ndarray) -> int:
    """Returns the last time to which the last frame is nearest."""
    return int(times[-1]) + _mean_gap(times) // 2 - ROUNDING
