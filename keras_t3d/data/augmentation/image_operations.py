"""Pillow's image operations on clips: uint8 in, uint8 out.

A clip is treated as one image: statistics such as a mean or a histogram are taken over all
frames, so that every frame changes in the same way and nothing flickers. A clip of one frame
equals Pillow's result: to the byte for operations that look values up, within one level for
those that blend.
"""

from __future__ import annotations

import tensorflow as tf

# Pillow's weights of red, green and blue in a grey value, in units of 1 / 65536.
_GREY = (19595.0, 38470.0, 7471.0)


# Blends: between a degenerate clip (factor 0) and the clip itself (factor 1), or beyond.


def adjust_brightness(clip: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies all values; factor 0 is black, 1 the clip itself."""
    return _to_uint8(factor * tf.cast(clip, tf.float32))


def adjust_contrast(clip: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance from the clip's mean grey; factor 0 is that grey."""
    grey = tf.cast(_grey(clip), tf.int64)
    # Summed as integers, so that the order of additions does not matter.
    count = tf.size(grey, tf.int64)
    mean = (2 * tf.reduce_sum(grey) + count) // (2 * count)
    return _blend(tf.cast(mean, tf.float32), clip, factor)


def adjust_saturation(clip: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance of each pixel from its own grey; factor 0 is a grey clip."""
    return _blend(_grey(clip)[..., None], clip, factor)


def adjust_sharpness(clip: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Scales the distance of each pixel from its neighbours' mean; factor 0 is a smooth clip."""
    frames = tf.cast(clip, tf.float32)
    weights = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]])
    kernel = tf.tile(weights[:, :, None, None], [1, 1, 3, 1])
    sums = tf.nn.depthwise_conv2d(frames, kernel, strides=[1, 1, 1, 1], padding="SAME")
    sharpened = _blend(tf.floor(sums / 13 + 0.5), clip, factor)
    # Pixels at the edge lack neighbours and stay unchanged, as in Pillow.
    inner = tf.maximum(tf.shape(clip)[1:3] - 2, 0)
    return paste(clip, sharpened, tf.concat([tf.ones_like(inner), inner], 0))


def _grey(clip: tf.Tensor) -> tf.Tensor:
    """Returns Pillow's grey values; every intermediate value is an integer exact in float32."""
    weighted = tf.tensordot(tf.cast(clip, tf.float32), tf.constant(_GREY), 1)
    return tf.floor((weighted + 32768) / 65536)


def _blend(degenerate: tf.Tensor, clip: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return _to_uint8(degenerate + factor * (tf.cast(clip, tf.float32) - degenerate))


def _to_uint8(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(values, 0, 255), tf.uint8)


# Tables: a new value for each value.


def autocontrast(clip: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to the whole range 0..255."""
    channels = tf.reshape(clip, (-1, 3))
    lowest = tf.cast(tf.reduce_min(channels, 0), tf.float64)[:, None]
    highest = tf.cast(tf.reduce_max(channels, 0), tf.float64)[:, None]
    scale = tf.math.divide_no_nan(tf.constant(255, tf.float64), highest - lowest)
    values = tf.range(256, dtype=tf.float64)[None]
    stretched = tf.cast(tf.clip_by_value(values * scale - lowest * scale, 0, 255), tf.int32)
    return _look_up(clip, tf.where(highest > lowest, stretched, tf.range(256)[None]))


def equalize(clip: tf.Tensor) -> tf.Tensor:
    """Equalizes the histogram of each channel."""
    tables = [_equalizing_table(clip[..., channel]) for channel in range(3)]
    return _look_up(clip, tf.stack(tables))


def _equalizing_table(channel: tf.Tensor) -> tf.Tensor:
    values = tf.reshape(tf.cast(channel, tf.int32), [-1])
    counts = tf.math.bincount(values, minlength=256, maxlength=256)
    count_of_highest = counts[tf.reduce_max(values)]
    step = (tf.size(values) - count_of_highest) // 255
    below = tf.cumsum(counts, exclusive=True)
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, table, tf.range(256))


def _look_up(clip: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Replaces values by those of the tables, int32 of shape (3, 256)."""
    table = tf.reshape(tf.cast(tables, tf.uint8), [-1])
    return tf.gather(table, tf.cast(clip, tf.int32) + tf.constant([0, 256, 512]))


def posterize(clip: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest bits of each value, 0 to 8 of them."""
    mask = tf.bitwise.left_shift(255, 8 - bits) % 256
    return tf.bitwise.bitwise_and(clip, tf.cast(mask, tf.uint8))


def solarize(clip: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts all values of at least the threshold, a number in 0..256."""
    return tf.where(tf.cast(clip, tf.float32) >= threshold, 255 - clip, clip)


# Shifts: bilinear, about the centre; pixels from outside the frame are mid-grey.


def rotate(clip: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns all frames counter-clockwise."""
    angle = degrees * (3.141592653589793 / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _read_from(clip, [[cosine, -sine], [sine, cosine]], [0.0, 0.0])


def shear_x(clip: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Shifts each row to the left by `share` of its distance below the centre."""
    return _read_from(clip, [[1.0, share], [0.0, 1.0]], [0.0, 0.0])


def shear_y(clip: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Shifts each column up by `share` of its distance right of the centre."""
    return _read_from(clip, [[1.0, 0.0], [share, 1.0]], [0.0, 0.0])


def translate_x(clip: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Shifts all frames to the left by a share of their width."""
    shift = share * tf.cast(tf.shape(clip)[2], tf.float32)
    return _read_from(clip, [[1.0, 0.0], [0.0, 1.0]], [shift, 0.0])


def translate_y(clip: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Shifts all frames up by a share of their height."""
    shift = share * tf.cast(tf.shape(clip)[1], tf.float32)
    return _read_from(clip, [[1.0, 0.0], [0.0, 1.0]], [0.0, shift])


def _read_from(clip: tf.Tensor, matrix: list[list[tf.Tensor]], shift: list[tf.Tensor]) -> tf.Tensor:
    """Reads the pixel at (x, y) from the centre at `matrix @ (x, y) + shift`."""
    height, width = tf.unstack(tf.shape(clip)[1:3])
    centre = tf.cast(tf.stack([width, height]) - 1, tf.float32) / 2
    matrix = tf.convert_to_tensor(matrix)
    offset = centre + tf.convert_to_tensor(shift) - tf.linalg.matvec(matrix, centre)
    rows = tf.reshape(tf.concat([matrix, offset[:, None]], 1), [-1])
    read = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(clip, tf.float32),  # for uint8 it truncates
        transforms=tf.concat([rows, [0.0, 0.0]], 0)[None],
        output_shape=[height, width],
        fill_value=128.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(_to_uint8(read + 0.5), clip.shape)


# Boxes.


def paste(clips: tf.Tensor, patches: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """Replaces a box of every frame by the same box of other frames.

    Args:
        clips: tensor `(..., height, width, channels)`.
        patches: tensor of the same shape from which the box is taken.
        box: integers (top, left, height, width), inside the frame.

    Returns:
        Tensor like `clips`.
    """
    top, left, height, width = tf.unstack(box)
    bottom, right = top + height, left + width
    # Whole blocks are copied: several times faster than tf.where with a mask.
    rows = clips[..., top:bottom, :, :]
    middle = patches[..., top:bottom, left:right, :]
    band = tf.concat([rows[..., :left, :], middle, rows[..., right:, :]], -2)
    pasted = tf.concat([clips[..., :top, :, :], band, clips[..., bottom:, :, :]], -3)
    return tf.ensure_shape(pasted, clips.shape)
