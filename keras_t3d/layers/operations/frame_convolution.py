"""2-D convolution of every frame in TensorFlow, with gradients on every processor."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import keras

from keras_t3d.layers.operations.custom_gradient import custom_gradient
from keras_t3d.layers.operations.padding import Padding, pad, unmerged


def convolve_each_frame(clips: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """Convolves each frame; pads first, as oneDNN has no kernels for explicit paddings.

    The padding is that of `Padding.frames`, or `"valid"`, none.
    """
    import tensorflow as tf

    frames = tf.reshape(clips, (-1, *clips.shape[2:]))
    strides = strides[1:]
    left = "VALID" if padding == "valid" else "SAME"  # even for stride 1
    if max(strides) > 1:
        frames, left = pad(frames, kernel, strides, Padding(padding)), "VALID"
        frames, strides = without_idle_stride(frames, kernel, strides)
    is_grouped = frames.shape[-1] > kernel.shape[-2]
    if is_grouped and _is_depthwise(kernel, strides) and not runs_on_gpu():
        y = _depthwise_conv2d(frames, kernel, strides, left)
    elif is_grouped and not _has_grouped_gradient(frames.dtype.name):
        y = _conv2d_by_groups(frames, kernel, strides, left)
    else:
        y = tf.nn.conv2d(frames, kernel, strides, left)
    return tf.reshape(y, (-1, clips.shape[1], *y.shape[1:]))


def without_idle_stride(
    padded: Any, kernel: Any, strides: Sequence[int]
) -> tuple[Any, Sequence[int]]:
    """If only one window fits the width, crops the width to it and sets its stride to 1.

    With a larger stride, TensorFlow 2.21 and PyTorch 2.13 are wrong in bfloat16 on CPUs with AMX:
    some windows of the other axes get values of other windows, or from memory out of bounds.
    """
    width, reach = padded.shape[-2], kernel.shape[-3]
    is_bfloat16 = keras.backend.standardize_dtype(padded.dtype) == "bfloat16"
    if not is_bfloat16 or strides[-1] == 1 or width is None:
        return padded, strides
    if width - reach >= strides[-1]:
        return padded, strides
    return padded[..., :reach, :], (*strides[:-1], 1)


def runs_on_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


@functools.cache
def _has_grouped_gradient(dtype: str) -> bool:
    """Returns whether TensorFlow has the gradient of grouped 2-D convolutions on this processor.

    On a CPU only oneDNN has it: never in float64, in float16 only with AVX512_FP16 instructions,
    and not if TensorFlow disables oneDNN, as it does on CPUs without VNNI.
    """
    import tensorflow as tf

    if runs_on_gpu():
        return True
    with tf.init_scope():
        # Raw operations, as a tape records nothing in this scope; one tensor serves as all inputs.
        shape, options = (1, 1, 1, 2), {"strides": [1] * 4, "padding": "VALID"}
        zeros = tf.zeros(shape, dtype)
        try:
            tf.raw_ops.Conv2DBackpropFilter(
                input=zeros, filter_sizes=shape, out_backprop=zeros, **options
            )
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=shape, filter=zeros, out_backprop=zeros, **options
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _is_depthwise(kernel: Any, strides: Sequence[int]) -> bool:
    """Returns whether each channel is a group, and TensorFlow's depthwise operation has it."""
    return bool(kernel.shape[-2] == 1 and strides[0] == strides[1])


def _depthwise_conv2d(frames: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """Computes a depthwise convolution by the operation made for it.

    Without oneDNN a grouped `tf.nn.conv2d` takes 20 to 40 times as long. Where oneDNN lacks the
    type of the frames, sums would have that type, so they are computed in float32.
    """
    import tensorflow as tf

    dtype = frames.dtype
    wide = dtype if dtype == "float64" or _has_grouped_gradient(dtype.name) else tf.float32
    height, width, _, filters = kernel.shape
    channels = frames.shape[-1]
    by_channel = tf.reshape(kernel, (height, width, channels, filters // channels))
    y = tf.nn.depthwise_conv2d(
        tf.cast(frames, wide), tf.cast(by_channel, wide), (1, *strides, 1), padding
    )
    return tf.cast(y, dtype)


def _conv2d_by_groups(frames: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """Computes a grouped `tf.nn.conv2d` with a gradient that TensorFlow lacks.

    The gradient is computed in float32 (float64 for float64): by TensorFlow if it supports that
    on this processor, else from one matrix product per tap.
    """
    import tensorflow as tf

    wide = "float64" if frames.dtype == "float64" else "float32"

    @custom_gradient
    def convolved(frames: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            inputs = (tf.cast(frames, wide), tf.cast(kernel, wide))
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                if _has_grouped_gradient(wide):
                    y = tf.nn.conv2d(inputs[0], inputs[1], strides, padding)
                else:
                    y = _multiply_groups(inputs[0], inputs[1], strides, padding)
            gradients = tape.gradient(y, inputs, tf.cast(upstream, wide))
            return tuple(tf.cast(gradient, frames.dtype) for gradient in gradients)

        # Merged with a normalization or an activation, it has no groups.
        return unmerged(tf.nn.conv2d(frames, kernel, strides, padding)), gradient

    return convolved(frames, kernel)


def _multiply_groups(frames: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """Computes a grouped 2-D convolution as a sum over taps of one matrix product per group."""
    import tensorflow as tf

    height, width, channels, filters = kernel.shape
    groups = frames.shape[-1] // channels
    if padding == "SAME":
        frames = pad(frames, kernel, (1, 1), Padding())
    rows, columns = tf.shape(frames)[1] - height + 1, tf.shape(frames)[2] - width + 1
    matrices = tf.reshape(kernel, (height, width, channels, groups, filters // groups))
    matrices = tf.transpose(matrices, (0, 1, 3, 2, 4))
    products = []
    for row, column in itertools.product(range(height), range(width)):
        read = frames[:, row : rows + row : strides[0], column : columns + column : strides[1]]
        size = tf.shape(read)
        by_group = tf.transpose(tf.reshape(read, (-1, groups, channels)), (1, 0, 2))
        products.append(tf.matmul(by_group, matrices[row, column]))
    y = tf.transpose(tf.add_n(products), (1, 0, 2))
    return tf.reshape(y, (size[0], size[1], size[2], filters))
