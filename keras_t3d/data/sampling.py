"""Which frames of a video a training clip takes."""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.clips import ClipSpec, clip_frames_tensorflow


def random_clip_frames(num_video_frames: tf.Tensor, spec: ClipSpec, seed: tf.Tensor) -> tf.Tensor:
    """Draws a clip's frames; every legal start is equally likely, the last one too.

    Args:
        num_video_frames: int scalar, at least 1.
        spec: ClipSpec. A video too short for it is looped.
        seed: int tensor of shape (2,). The same seed gives the same clip.

    Returns:
        int64 tensor of shape (num_frames,).
    """
    num_video_frames = tf.cast(num_video_frames, tf.int64)
    last = tf.maximum(num_video_frames - spec.span, 0)
    start = tf.random.stateless_uniform((), seed, 0, last + 1, tf.int64)
    return clip_frames_tensorflow(num_video_frames, spec, start)
