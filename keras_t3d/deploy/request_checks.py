"""Checks of requests in the graph: a clear error before any large allocation.

The C++ loader accepts inputs of any shape. Without these checks a clip of another size would
return probabilities, and a JPEG header of 100 bytes could allocate gigabytes.
"""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.deploy.frame_sides import SIDES, can_be_viewed


def checked_videos(clips: tf.Tensor, name: str) -> tf.Tensor:
    """Returns uint8 (B, frames, H, W, 3), checked to have sizes that can be resized."""
    rule = f"{name}: expected `clips` of shape (videos, frames, height, width, 3), uint8"
    received = _of_rank(clips, 5)
    shape = tf.shape(received)
    received = _where(tf.equal(shape[4], 3), f"{rule}, R, G, B last", shape, received)
    received = _where(tf.reduce_all(shape > 0), f"{rule}, none of them 0", shape, received)
    received = _where(can_be_viewed(shape[2], shape[3]), f"{name}: {SIDES}", shape, received)
    return tf.ensure_shape(received, clips.shape)


def checked_views(clips: tf.Tensor) -> tf.Tensor:
    """Returns uint8 (B, T, H, W, 3), checked to have the model's T, H and W."""
    sizes = clips.shape[1:].as_list()
    rule = f"views: expected `clips` of shape (clips, {', '.join(map(str, sizes))}), uint8"
    received = _of_rank(clips, 5)
    shape = tf.shape(received)
    fits = tf.reduce_all(tf.equal(shape[1:], sizes)) & (shape[0] > 0)
    return tf.ensure_shape(_where(fits, rule, shape, received), clips.shape)


def checked_encoded(frames: tf.Tensor) -> tf.Tensor:
    """Returns strings (B, frames), checked not to be empty."""
    rule = "serve_jpeg: expected `frames` of shape (videos, frames), JPEG images"
    received = _of_rank(frames, 2)
    shape = tf.shape(received)
    received = _where(tf.reduce_all(shape > 0), f"{rule}, none of them 0", shape, received)
    return tf.ensure_shape(received, frames.shape)


def checked_names(names: tf.Tensor) -> tf.Tensor:
    """Returns strings (n,), checked to have rank 1."""
    return _of_rank(names, 1)


def checked_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Returns one JPEG, with the frame size in its header checked."""
    start = tf.strings.substr(encoded, 0, 3)
    encoded = _where(
        tf.equal(start, b"\xff\xd8\xff"),
        "serve_jpeg: expected JPEG images, whose bytes begin with 255 216 255",
        tf.io.decode_raw(start, tf.uint8),  # as numbers, so that the message is readable text
        encoded,
    )
    shape = tf.image.extract_jpeg_shape(encoded)
    return _where(can_be_viewed(shape[0], shape[1]), f"serve_jpeg: {SIDES}", shape, encoded)


def _of_rank(tensor: tf.Tensor, rank: int) -> tf.Tensor:
    """Checks the rank and discards the declared sizes.

    From declared sizes TensorFlow would infer that the checks hold, and remove them.
    """
    as_fed = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
    return tf.ensure_shape(as_fed, [None] * rank)


def _where(holds: tf.Tensor, rule: str, received: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Returns the tensor once the condition is checked."""
    check = tf.debugging.Assert(holds, [f"{rule}. Received:", received], summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
