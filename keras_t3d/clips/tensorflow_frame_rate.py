"""Frames of a video at a chosen rate, in TensorFlow: the same as `keras_t3d.clips.frame_rate`."""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.clips.clip_spec import ClipSpec
from keras_t3d.clips.frame_rate import ROUNDING, SECOND, TOO_SHORT, UNKNOWN_TIMES
from keras_t3d.clips.view import Tensor


def even_times_tensorflow(num_frames: Tensor | int, fps: Tensor | float) -> Tensor:
    """Returns the same times as `even_times`."""
    fps = tf.cast(fps, tf.float64) if tf.is_tensor(fps) else tf.constant(fps, tf.float64)
    places = tf.cast(tf.range(tf.cast(num_frames, tf.int64)), tf.float64)
    return tf.cast(tf.floor(places * (SECOND / fps) + 0.5), tf.int64)


def frames_for_clips_tensorflow(num_frames: Tensor, times: Tensor, clip_spec: ClipSpec) -> Tensor:
    """Returns the same frames as `frames_for_clips`."""
    if clip_spec.fps is None:
        return tf.range(tf.cast(num_frames, tf.int64))
    return frames_at_rate_tensorflow(checked_times_tensorflow(times), clip_spec.fps)


def checked_times_tensorflow(times: Tensor) -> Tensor:
    """Returns the times; the graph fails where they are unknown."""
    known = tf.debugging.Assert(tf.size(times) > 0, [f"{UNKNOWN_TIMES}."])
    with tf.control_dependencies([known]):
        return tf.identity(times)


def frames_at_rate_tensorflow(times: Tensor, fps: float) -> Tensor:
    """Returns the same frames as `frames_at_rate`."""
    seconds = tf.cast(_end(times) - times[0], tf.float64) / SECOND
    rate = tf.constant(fps, tf.float64)  # not through float32
    count = tf.maximum(tf.cast(tf.math.ceil(seconds * rate), tf.int64), 1)
    return nearest_frames_tensorflow(times, times[0] + even_times_tensorflow(count, fps))


def random_clip_at_rate_tensorflow(
    times: Tensor, num_frames: int, fps: float, draw: Tensor, *, short: str = "loop"
) -> Tensor:
    """Returns the same frames as `random_clip_at_rate`."""
    offsets = even_times_tensorflow(num_frames, fps)
    legal = tf.math.count_nonzero(times + offsets[-1] < _end(times))
    last = tf.maximum(legal - 1, 0)
    start = tf.cast(draw * tf.cast(last + 1, tf.float64), tf.int64)
    wanted = times[tf.minimum(start, last)] + offsets
    if short == "loop":
        period = times[-1] - times[0] + _mean_gap(times)
        wanted = times[0] + (wanted - times[0]) % period
        looped = tf.concat([times, [times[0] + period]], 0)
        return nearest_frames_tensorflow(looped, wanted) % tf.size(times, tf.int64)
    if short == "error":
        fits = tf.debugging.Assert(wanted[-1] < _end(times), [TOO_SHORT, "Received times:", times])
        with tf.control_dependencies([fits]):
            wanted = tf.identity(wanted)
    return nearest_frames_tensorflow(times, wanted)


def nearest_frames_tensorflow(times: Tensor, wanted: Tensor) -> Tensor:
    """Returns the same indices as `nearest_frames`."""
    last = tf.size(times, tf.int64) - 1
    after = tf.searchsorted(times, wanted, out_type=tf.int64)
    after = tf.clip_by_value(after, 1, tf.maximum(last, 1))
    before = after - 1
    after = tf.minimum(after, last)
    ahead, behind = tf.gather(times, after) - wanted, wanted - tf.gather(times, before)
    return tf.where(ahead <= behind + ROUNDING, after, before)


def _mean_gap(times: Tensor) -> Tensor:
    gaps = tf.maximum(tf.size(times, tf.int64) - 1, 1)
    return tf.maximum((times[-1] - times[0]) // gaps, 1)


def _end(times: Tensor) -> Tensor:
    return times[-1] + _mean_gap(times) // 2 - ROUNDING
