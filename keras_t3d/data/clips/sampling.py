"""Frames of training clips: pure functions of a video's length and of random numbers.

Each function has a NumPy form and a TensorFlow form that return the same indices. Both compute
in float64, one rounded operation at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from keras_t3d.clips import ClipSpec, Tensor
from keras_t3d.clips.frame_rate import TOO_SHORT, check_times, random_clip_at_rate
from keras_t3d.data.clips.clip_draws import ClipDraws
from keras_t3d.data.clips.options import ClipSelection
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.errors import InvalidArgumentError


def known_times(video: StoredVideo, clip_spec: ClipSpec) -> np.ndarray:
    """Returns the times of a video's frames, if the clips have a rate; else none, unread."""
    return np.array(() if clip_spec.fps is None else video.times, np.int64)


def sample_frames(
    video: StoredVideo,
    start: float,
    segments: np.ndarray,
    clip_spec: ClipSpec,
    options: ClipSelection,
) -> np.ndarray:
    """Returns the frames of a training clip as `options` selects them: int64 (num_frames,).

    `start` and `segments` are those of ClipDraws.
    """
    count, short = len(video.frames), options.short
    if options.sampling == "segments":
        return segment_clip(count, clip_spec.num_frames, segments, short=short)
    if clip_spec.fps is None:
        return random_clip(count, clip_spec, start, short=short)
    times = known_times(video, clip_spec)
    check_times(times)
    return random_clip_at_rate(times, clip_spec.num_frames, clip_spec.fps, start, short=short)


def sample_frames_tensorflow(
    num_video_frames: Tensor,
    times: Tensor,
    draws: ClipDraws,
    clip_spec: ClipSpec,
    options: ClipSelection,
) -> Tensor:
    """The TensorFlow form of `sample_frames`."""
    count, short, draw = num_video_frames, options.short, draws.start
    if options.sampling == "segments":
        return segment_clip_tensorflow(count, clip_spec.num_frames, draws.segments, short=short)
    if clip_spec.fps is None:
        return random_clip_tensorflow(count, clip_spec, draw, short=short)
    from keras_t3d.clips import tensorflow_frame_rate as in_graph

    return in_graph.random_clip_at_rate_tensorflow(
        in_graph.checked_times_tensorflow(times),
        clip_spec.num_frames,
        clip_spec.fps,
        draw,
        short=short,
    )


def random_clip(
    num_video_frames: int,
    clip_spec: ClipSpec,
    draw: float,
    *,
    short: str = "loop",
) -> np.ndarray:
    """Returns the frames of a clip that starts anywhere in the video.

    Every legal start is equally likely, the last one too.

    Args:
        num_video_frames: at least 1.
        clip_spec: length and stride of the clip.
        draw: number in [0, 1) that picks the start.
        short: treatment of videos shorter than the clip: `"loop"` starts again, `"pad"` repeats
            the last frame, `"error"` raises.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        InvalidArgumentError: if the video has no frames, or is too short with `"error"`.

    Example:

    ```python
    random_clip(10, ClipSpec(num_frames=4, frame_stride=2), 0.99)  # [3, 5, 7, 9]
    ```
    """
    offsets = clip_spec.frame_stride * np.arange(clip_spec.num_frames)
    last = max(num_video_frames - int(offsets[-1]) - 1, 0)
    start = min(int(draw * (last + 1)), last)
    return _within_video(start + offsets, num_video_frames, short)


def random_clip_tensorflow(
    num_video_frames: Tensor,
    clip_spec: ClipSpec,
    draw: Tensor,
    *,
    short: str = "loop",
) -> Tensor:
    """The TensorFlow form of `random_clip`."""
    import tensorflow as tf

    num_video_frames = tf.cast(num_video_frames, tf.int64)
    offsets = clip_spec.frame_stride * tf.range(clip_spec.num_frames, dtype=tf.int64)
    last = tf.maximum(num_video_frames - offsets[-1] - 1, 0)
    start = tf.cast(draw * tf.cast(last + 1, tf.float64), tf.int64)
    return _within_video_tensorflow(tf.minimum(start, last) + offsets, num_video_frames, short)


def segment_clip(
    num_video_frames: int, num_frames: int, draws: ArrayLike, *, short: str = "loop"
) -> np.ndarray:
    """Returns one frame of each of `num_frames` equal segments of the video.

    Args:
        num_video_frames: at least 1.
        num_frames: frames in the clip.
        draws: numbers in [0, 1) of shape (num_frames,), which pick a frame of each segment.
        short: `"error"` raises for a video of fewer frames than segments; otherwise neighbouring
            segments take the same frame.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        InvalidArgumentError: if the video has no frames, or is too short with `"error"`.

    Example:

    ```python
    segment_clip(12, 4, [0.0, 0.5, 0.9, 0.5])  # [0, 4, 8, 10]
    ```

    Reference:
        Wang et al., "Temporal Segment Networks", ECCV 2016,
        https://arxiv.org/abs/1608.00859
    """
    _within_video(np.arange(num_frames), num_video_frames, short)  # raises as `short` demands
    bounds = np.arange(num_frames + 1) * num_video_frames // num_frames
    first, sizes = bounds[:-1], np.maximum(np.diff(bounds), 1)
    inside = (np.asarray(draws, np.float64) * sizes).astype(np.int64)
    return first + np.minimum(inside, sizes - 1)


def segment_clip_tensorflow(
    num_video_frames: Tensor, num_frames: int, draws: Tensor, *, short: str = "loop"
) -> Tensor:
    """The TensorFlow form of `segment_clip`."""
    import tensorflow as tf

    num_video_frames = tf.cast(num_video_frames, tf.int64)
    # Holds the assertion of "error"; the indices themselves are not used.
    refusal = _within_video_tensorflow(
        tf.range(num_frames, dtype=tf.int64), num_video_frames, short
    )
    with tf.control_dependencies([refusal]):
        bounds = tf.range(num_frames + 1, dtype=tf.int64) * num_video_frames // num_frames
    sizes = tf.maximum(bounds[1:] - bounds[:-1], 1)
    inside = tf.cast(draws * tf.cast(sizes, tf.float64), tf.int64)
    return bounds[:-1] + tf.minimum(inside, sizes - 1)


def _within_video(indices: np.ndarray, num_video_frames: int, short: str) -> np.ndarray:
    """Returns indices with those past the video's end brought back into it, see `random_clip`."""
    if num_video_frames < 1:
        raise InvalidArgumentError(
            f"`num_video_frames` must be at least 1. Received: {num_video_frames} frames",
            argument="num_video_frames",
        )
    if short == "loop":
        return indices % num_video_frames
    if short == "error" and indices.max() >= num_video_frames:
        raise InvalidArgumentError(
            f"{TOO_SHORT}. Received: a video of {num_video_frames} frames for a clip that "
            f"needs {indices.max() - indices.min() + 1}",
            argument="short",
        )
    return np.minimum(indices, num_video_frames - 1)


def _within_video_tensorflow(indices: Tensor, num_video_frames: Tensor, short: str) -> Tensor:
    import tensorflow as tf

    if short == "loop":
        return indices % num_video_frames
    if short == "error":
        fits = tf.reduce_max(indices) < num_video_frames
        received = [TOO_SHORT, "Received frames:", num_video_frames]
        with tf.control_dependencies([tf.debugging.Assert(fits, received)]):
            return tf.identity(indices)
    return tf.minimum(indices, num_video_frames - 1)
