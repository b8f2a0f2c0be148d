"""Max pooling of clips that are padded evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.layers.operations.custom_gradient import custom_gradient
from keras_t3d.layers.operations.padding import Padding, paddings, without_unread_frames

_LEAST = -3e38  # finite, and a bfloat16 too
_Pads = list[tuple[int, int]]  # before and after each axis


def pool_maximum(
    clips: Any, size: Sequence[int], strides: Sequence[int], time_padding: str = "even"
) -> Any:
    """Returns the maximum over windows of clips; the padding is lower than any value.

    Args:
        clips: tensor of shape (batch, time, height, width, channels).
        size: size of the windows (time, height, width), odd.
        strides: strides (time, height, width).
        time_padding: as `Padding.time`.

    Returns:
        Tensor of shape (batch, time', height', width', channels).
    """
    if keras.backend.standardize_dtype(clips.dtype) == "float16":
        # TensorFlow has no float16 kernel on CPU; a maximum is exact in any dtype.
        pooled = pool_maximum(ops.cast(clips, "float32"), size, strides, time_padding)
        return ops.cast(pooled, "float16")
    clips, padding = without_unread_frames(
        clips, size[0], strides[0], Padding("even", time_padding)
    )
    pads = paddings(padding, clips.shape[1:-1], size, strides)
    if keras.backend.backend() == "tensorflow":
        if clips.dtype == "float64":
            return _pool_frames_then_time(clips, size, strides, pads)
        return _pool_maximum_in_tensorflow(clips, size, strides, pads)
    return _pad_and_pool(clips, size, strides, pads)


def has_average_pool(dtype: str) -> bool:
    """Returns whether the backend has 3-D average pooling in this dtype on CPUs too."""
    missing = {"tensorflow": {"float16", "float64"}, "torch": {"float16", "bfloat16"}}
    return dtype not in missing.get(keras.backend.backend(), {"float16"})


def _pad_and_pool(clips: Any, size: Sequence[int], strides: Sequence[int], pads: _Pads) -> Any:
    padded = ops.pad(clips, pads, constant_values=_LEAST)
    return ops.max_pool(padded, tuple(size), tuple(strides), "valid", "channels_last")


def _pool_frames_then_time(
    clips: Any, size: Sequence[int], strides: Sequence[int], pads: _Pads
) -> Any:
    """Pools by 2-D operations, for dtypes in which TensorFlow has no 3-D pool."""
    import tensorflow as tf

    padded = tf.pad(clips, pads, constant_values=_LEAST)
    batch, time, height, width, channels = tf.unstack(tf.shape(padded))
    frames = tf.reshape(padded, (batch * time, height, width, clips.shape[-1]))
    frames = tf.nn.max_pool2d(frames, size[1:], strides[1:], "VALID")
    _, height, width, _ = tf.unstack(tf.shape(frames))
    pixels = tf.reshape(frames, (batch, time, height * width, clips.shape[-1]))
    pooled = tf.nn.max_pool2d(pixels, (size[0], 1), (strides[0], 1), "VALID")
    return tf.reshape(pooled, (batch, tf.shape(pooled)[1], height, width, channels))


def _pool_maximum_in_tensorflow(
    clips: Any, size: Sequence[int], strides: Sequence[int], pads: _Pads
) -> Any:
    """Pools; the gradient keeps the clips, not their padded copy."""
    import tensorflow as tf

    windows = {"ksize": (1, *size, 1), "strides": (1, *strides, 1), "padding": "VALID"}

    @custom_gradient
    def pooled(clips: Any) -> Any:
        y = tf.nn.max_pool3d(tf.pad(clips, pads, constant_values=_LEAST), **windows)

        def gradient(upstream: Any) -> Any:
            with tf.control_dependencies([upstream]):
                again = tf.pad(tf.identity(clips), pads, constant_values=_LEAST)
            grad = tf.raw_ops.MaxPool3DGrad(
                orig_input=again, orig_output=y, grad=upstream, **windows
            )
            return tf.slice(grad, [before for before, _ in pads], tf.shape(clips))

        return y, gradient

    return pooled(clips)
