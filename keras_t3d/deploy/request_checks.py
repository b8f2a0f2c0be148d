"""Checks, in the graph, of what clients send: a clear error, before anything large is made.

A C++ loader feeds what comes, of whatever shape: without these checks a clip of another
size would be answered as if it fitted, and a JPEG header of 100 bytes would ask for gigabytes.
"""

from __future__ import annotations

import tensorflow as tf

LONGEST_SIDE = 4096  # pixels of a frame: 4K films
MOST_ASPECT = 10  # the long side by the short one, as resizing needs both sides' product


def checked_videos(clips: tf.Tensor, name: str) -> tf.Tensor:
    """Lets uint8 (B, frames, H, W, 3) through, where each size is one that can be viewed."""
    rule = f"{name}: expected `clips` of shape (videos, frames, height, width, 3), uint8"
    received = _of_rank(clips, 5)
    shape = tf.shape(received)
    received = _where(tf.equal(shape[4], 3), f"{rule}, R, G, B last", shape, received)
    received = _where(tf.reduce_all(shape > 0), f"{rule}, none of them 0", shape, received)
    received = _where(_can_be_viewed(shape[2], shape[3]), f"{name}: {_SIDES}", shape, received)
    return tf.ensure_shape(received, clips.shape)


def checked_views(clips: tf.Tensor) -> tf.Tensor:
    """Lets uint8 (B, T, H, W, 3) of exactly the model's T, H, W through."""
    sizes = clips.shape[1:].as_list()
    rule = f"views: expected `clips` of shape (clips, {', '.join(map(str, sizes))}), uint8"
    received = _of_rank(clips, 5)
    shape = tf.shape(received)
    fits = tf.reduce_all(tf.equal(shape[1:], sizes)) & (shape[0] > 0)
    return tf.ensure_shape(_where(fits, rule, shape, received), clips.shape)


def checked_encoded(frames: tf.Tensor) -> tf.Tensor:
    """Lets strings (B, frames) through, where neither is 0."""
    rule = "serve_jpeg: expected `frames` of shape (videos, frames), JPEG images"
    received = _of_rank(frames, 2)
    shape = tf.shape(received)
    received = _where(tf.reduce_all(shape > 0), f"{rule}, none of them 0", shape, received)
    return tf.ensure_shape(received, frames.shape)


def checked_names(names: tf.Tensor) -> tf.Tensor:
    """Lets strings (n,) through."""
    return _of_rank(names, 1)


def checked_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Lets one JPEG through, by its header, whose pixels are fewer than would fill the memory."""
    start = tf.strings.substr(encoded, 0, 3)
    encoded = _where(
        tf.equal(start, b"\xff\xd8\xff"),
        "serve_jpeg: expected JPEG images, whose bytes begin with 255 216 255",
        tf.io.decode_raw(start, tf.uint8),  # as numbers: a message must be readable text
        encoded,
    )
    shape = tf.image.extract_jpeg_shape(encoded)
    return _where(_can_be_viewed(shape[0], shape[1]), f"serve_jpeg: {_SIDES}", shape, encoded)


_SIDES = (
    f"frames may have sides of 1 to {LONGEST_SIDE} pixels, the long one at most {MOST_ASPECT} "
    "times the short one"
)


def _can_be_viewed(height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    shorter, longer = tf.minimum(height, width), tf.maximum(height, width)
    return (shorter > 0) & (longer <= LONGEST_SIDE) & (longer <= MOST_ASPECT * shorter)


def _of_rank(tensor: tf.Tensor, rank: int) -> tf.Tensor:
    """Lets tensors of a rank through, and forgets the sizes that were declared.

    By those TensorFlow would take the checks for true, and leave them out.
    """
    as_fed = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
    return tf.ensure_shape(as_fed, [None] * rank)


def _where(holds: tf.Tensor, rule: str, received: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """The tensor, once a rule is found to hold."""
    check = tf.debugging.Assert(holds, [f"{rule}. Received:", received], summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
