"""Which frames of a video a clip takes: pure functions of its length and of random numbers.

Functions that training uses stand in two forms that give the same indices: NumPy, and
TensorFlow for graphs. Both compute in float64, one rounded operation at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from keras_t3d.clips import ClipSpec, Tensor, view_starts

SAMPLINGS = ("random", "segments")
SHORT = ("loop", "pad", "error")


def random_clip(
    num_video_frames: int,
    spec: ClipSpec,
    draw: float,
    *,
    stride: float | None = None,
    short: str = "loop",
) -> np.ndarray:
    """Returns the frames of a clip that starts anywhere in the video.

    Every legal start is equally likely, the last one too.

    Args:
        num_video_frames: int, at least 1.
        spec: ClipSpec.
        draw: float in [0, 1). Picks the start.
        stride: float. Distance between two frames of the clip, see `fps_stride`.
            Defaults to `spec.frame_stride`.
        short: what a video shorter than the clip gives: `"loop"` begins again,
            `"pad"` repeats the last frame, `"error"` refuses it. Defaults to `"loop"`.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        ValueError: if the video has no frames, or is too short under `"error"`.

    Example:

    ```python
    random_clip(10, ClipSpec(num_frames=4, frame_stride=2), 0.99)  # [3, 5, 7, 9]
    ```
    """
    offsets = _offsets(spec, stride)
    last = max(num_video_frames - int(offsets[-1]) - 1, 0)
    start = min(int(draw * (last + 1)), last)
    return _within(start + offsets, num_video_frames, short)


def random_clip_tensorflow(
    num_video_frames: Tensor,
    spec: ClipSpec,
    draw: Tensor,
    *,
    stride: Tensor | None = None,
    short: str = "loop",
) -> Tensor:
    """The TensorFlow form of `random_clip`."""
    import tensorflow as tf

    num_video_frames = tf.cast(num_video_frames, tf.int64)
    # Not tf.cast, which takes a Python float through float32.
    stride = tf.convert_to_tensor(spec.frame_stride if stride is None else stride, tf.float64)
    steps = stride * tf.range(spec.num_frames, dtype=tf.float64)
    offsets = tf.cast(tf.floor(steps + 0.5), tf.int64)
    last = tf.maximum(num_video_frames - offsets[-1] - 1, 0)
    start = tf.cast(draw * tf.cast(last + 1, tf.float64), tf.int64)
    return _within_tensorflow(tf.minimum(start, last) + offsets, num_video_frames, short)


def segment_clip(
    num_video_frames: int,
    num_frames: int,
    draws: ArrayLike | None = None,
    *,
    short: str = "loop",
) -> np.ndarray:
    """Returns one frame of each of `num_frames` equal segments of the video.

    Args:
        num_video_frames: int, at least 1.
        num_frames: int. Frames in the clip.
        draws: floats in [0, 1) of shape (num_frames,), which pick a frame of each
            segment, as in training. Defaults to the segments' middles.
        short: `"error"` refuses a video of fewer frames than segments; otherwise
            neighbouring segments take the same frame. Defaults to `"loop"`.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        ValueError: if the video has no frames, or is too short under `"error"`.

    Example:

    ```python
    segment_clip(12, 4)  # [1, 4, 7, 10]
    ```

    Reference:
        Wang et al., "Temporal Segment Networks", ECCV 2016,
        https://arxiv.org/abs/1608.00859
    """
    _within(np.arange(num_frames), num_video_frames, short)  # refuses what `short` refuses
    bounds = np.arange(num_frames + 1) * num_video_frames // num_frames
    first, sizes = bounds[:-1], np.maximum(np.diff(bounds), 1)
    if draws is None:
        return first + sizes // 2
    inside = (np.asarray(draws, np.float64) * sizes).astype(np.int64)
    return first + np.minimum(inside, sizes - 1)


def segment_clip_tensorflow(
    num_video_frames: Tensor, num_frames: int, draws: Tensor, *, short: str = "loop"
) -> Tensor:
    """The TensorFlow form of `segment_clip` with draws."""
    import tensorflow as tf

    num_video_frames = tf.cast(num_video_frames, tf.int64)
    # Holds the assertion of "error"; the indices themselves are not needed.
    refusal = _within_tensorflow(tf.range(num_frames, dtype=tf.int64), num_video_frames, short)
    with tf.control_dependencies([refusal]):
        bounds = tf.range(num_frames + 1, dtype=tf.int64) * num_video_frames // num_frames
    sizes = tf.maximum(bounds[1:] - bounds[:-1], 1)
    inside = tf.cast(draws * tf.cast(sizes, tf.float64), tf.int64)
    return bounds[:-1] + tf.minimum(inside, sizes - 1)


def centre_clip(num_video_frames: int, spec: ClipSpec, *, short: str = "loop") -> np.ndarray:
    """Returns the frames of the clip in the middle of the video: int64 (num_frames,).

    Args:
        num_video_frames: int, at least 1.
        spec: ClipSpec.
        short: see `random_clip`. Defaults to `"loop"`.

    Raises:
        ValueError: as `random_clip`.

    Example:

    ```python
    centre_clip(10, ClipSpec(num_frames=4, frame_stride=2))  # [1, 3, 5, 7]
    ```
    """
    return dense_views(num_video_frames, spec, 1, short=short)[0]


def dense_views(
    num_video_frames: int, spec: ClipSpec, num_views: int, *, short: str = "loop"
) -> np.ndarray:
    """Returns the frames of clips whose starts are spread over the whole video.

    One view is the middle; two or more reach both ends.

    Args:
        num_video_frames: int, at least 1.
        spec: ClipSpec.
        num_views: int, at least 1.
        short: see `random_clip`. Defaults to `"loop"`.

    Returns:
        int64 array of shape (num_views, num_frames).

    Raises:
        ValueError: as `random_clip`, or if `num_views` is less than 1.

    Example:

    ```python
    dense_views(10, ClipSpec(num_frames=4, frame_stride=2), 2)  # [[0, 2, 4, 6], [3, 5, 7, 9]]
    ```
    """
    starts = np.array(view_starts(num_video_frames, spec, num_views))
    return _within(starts[:, None] + _offsets(spec, None), num_video_frames, short)


def full_cover(num_video_frames: int, spec: ClipSpec, *, short: str = "loop") -> np.ndarray:
    """Returns the frames of consecutive clips that cover every frame of the video.

    With a stride of n, n clips that start one frame apart cover a stretch of
    `num_frames * n` frames; the last stretch ends with the video and overlaps the one
    before it.

    Args:
        num_video_frames: int, at least 1.
        spec: ClipSpec.
        short: what a video shorter than a stretch gives, see `random_clip`.
            Defaults to `"loop"`.

    Returns:
        int64 array of shape (clips, num_frames).

    Raises:
        ValueError: as `random_clip`.

    Example:

    ```python
    full_cover(5, ClipSpec(num_frames=2, frame_stride=1))  # [[0, 1], [2, 3], [3, 4]]
    ```
    """
    stretch = spec.num_frames * spec.frame_stride
    last = max(num_video_frames - stretch, 0)
    begins = np.minimum(np.arange(0, max(num_video_frames, 1), stretch), last)
    phases = np.arange(min(spec.frame_stride, max(num_video_frames, 1)))
    starts = (begins[:, None] + phases).reshape(-1, 1)
    return _within(starts + _offsets(spec, None), num_video_frames, short)


def fps_stride(video_fps: float, target_fps: float | None, frame_stride: int) -> float:
    """Returns the distance between two frames of a clip, in frames of the video.

    The clip's frames are those nearest to the times 0, 1 / target_fps, 2 / target_fps,
    ... after its first. A video slower than `target_fps` gives some frames twice.

    Args:
        video_fps: float. Frames per second of the video; 0.0 where unknown.
        target_fps: float or None. Frames per second of the clip.
        frame_stride: int. The distance where `target_fps` is None, or where the
            video's own rate is unknown.

    Returns:
        float.

    Example:

    ```python
    fps_stride(25.0, 10.0, frame_stride=2)  # 2.5
    ```
    """
    if target_fps is None or not video_fps > 0:
        return float(frame_stride)
    return video_fps / target_fps


def fps_stride_tensorflow(video_fps: Tensor, target_fps: float | None, frame_stride: int) -> Tensor:
    """The TensorFlow form of `fps_stride`: a float64 scalar."""
    import tensorflow as tf

    if target_fps is None:
        return tf.constant(frame_stride, tf.float64)
    video_fps = tf.cast(video_fps, tf.float64)
    return tf.where(video_fps > 0, video_fps / target_fps, tf.cast(frame_stride, tf.float64))


def check_sampling(sampling: str, short: str, target_fps: float | None) -> None:
    """Raises a ValueError where a choice of `load_clips` is none of those there are."""
    if sampling not in SAMPLINGS:
        raise ValueError(f"`sampling` must be one of {SAMPLINGS}. Received: {sampling!r}")
    if short not in SHORT:
        raise ValueError(f"`short` must be one of {SHORT}. Received: {short!r}")
    if target_fps is None:
        return
    if isinstance(target_fps, bool) or not isinstance(target_fps, (int, float)) or target_fps <= 0:
        raise ValueError(
            "`target_fps` must be a number of frames per second above 0, for example 12.5. "
            f"Received: {target_fps!r}"
        )
    if sampling == "segments":
        raise ValueError(
            "`target_fps` has no meaning with sampling='segments', which spreads the frames over "
            f"the whole video: leave it out. Received: target_fps={target_fps!r}"
        )


def _offsets(spec: ClipSpec, stride: float | None) -> np.ndarray:
    """The clip's frames, counted from its first."""
    steps = float(spec.frame_stride if stride is None else stride) * np.arange(spec.num_frames)
    return np.floor(steps + 0.5).astype(np.int64)


def _within(indices: np.ndarray, num_video_frames: int, short: str) -> np.ndarray:
    """Brings indices past the video's end back into it, as `short` says."""
    if num_video_frames < 1:
        raise ValueError(
            f"A video needs at least 1 frame to give a clip. Received: {num_video_frames} frames"
        )
    if short == "loop":
        return indices % num_video_frames
    if short == "error" and indices.max() >= num_video_frames:
        raise ValueError(
            f"{_TOO_SHORT}. Received: a video of {num_video_frames} frames for a clip that "
            f"needs {indices.max() - indices.min() + 1}"
        )
    return np.minimum(indices, num_video_frames - 1)


_TOO_SHORT = "A video is shorter than the clip, which short='error' refuses; 'loop' takes it"


def _within_tensorflow(indices: Tensor, num_video_frames: Tensor, short: str) -> Tensor:
    import tensorflow as tf

    if short == "loop":
        return indices % num_video_frames
    if short == "error":
        fits = tf.reduce_max(indices) < num_video_frames
        received = [_TOO_SHORT, "Received frames:", num_video_frames]
        with tf.control_dependencies([tf.debugging.Assert(fits, received)]):
            return tf.identity(indices)
    return tf.minimum(indices, num_video_frames - 1)
