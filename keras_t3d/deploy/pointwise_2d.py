"""Rules of the lowering for pointwise layers, and for layers that join, pad or reshape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.convolution import PendingConvolution, scale_and_offset
from keras_t3d.deploy.convolution_2d import concatenate
from keras_t3d.deploy.errors import UnsupportedLayerError, check_channels_last
from keras_t3d.deploy.network import constant, constant_of_one_clip, kernel_of
from keras_t3d.deploy.pooling_2d import means_so_far
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipNormalization,
    SpatioTemporalChannelCorrelation,
)
from keras_t3d.streaming.memory import Memory

_PIXELS = (16, 8, 4, 2, 1)


def clip_normalization(layer: ClipNormalization, x: tf.Tensor) -> tf.Tensor:
    mean, std = np.asarray(layer.mean), np.asarray(layer.std)
    # With neighbouring pixels as channels, as LiteRT takes as long for 3 channels as for 48.
    count = next(each for each in _PIXELS if x.shape[2] % each == 0)
    with tf.name_scope(""):  # not of this layer, which may be in floats where pixels are not
        pixels = tf.reshape(x, (*x.shape[:2], -1, count * x.shape[3]))
    scale, offset = np.tile(1.0 / (255.0 * std), count), np.tile(-mean / std, count)
    return tf.reshape(_scaled(pixels, scale, offset), x.shape)


def batch_normalization(
    layer: layers.BatchNormalization, x: tf.Tensor | PendingConvolution
) -> tf.Tensor:
    """Multiplies and adds, or folds the layer into the convolution before it."""
    rank = 5 if isinstance(x, PendingConvolution) else _keras_rank(x)
    if layer.axis not in (-1, rank - 1):
        raise UnsupportedLayerError(
            layer, f"normalises axis {layer.axis}", "normalise the channels: axis=-1"
        )
    if isinstance(x, PendingConvolution):
        return x.normalized_by(layer)
    scale, offset = scale_and_offset(layer)
    if x.shape.rank != 4:
        return x * scale.astype(np.float32) + offset.astype(np.float32)
    return _scaled(x, scale, offset)


def _scaled(x: tf.Tensor, scale: np.ndarray, offset: np.ndarray) -> tf.Tensor:
    """Scales by a depthwise 1x1 convolution, into which LiteRT fuses a ReLU: half the time.

    In 8 bits each channel's factor has a scale of its own, where a product has one for all.
    """
    depthwise = scale.astype(np.float32).reshape((1, 1, -1, 1))
    y = tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "VALID")
    return y + offset.astype(np.float32)


def clip_batch_normalization(
    layer: ClipBatchNormalization, x: tf.Tensor | PendingConvolution
) -> tf.Tensor:
    y = batch_normalization(layer, x)
    return {None: tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}[layer.activation](y)


def relu(layer: layers.ReLU, x: tf.Tensor) -> tf.Tensor:
    variants = {None: tf.nn.relu, 6.0: tf.nn.relu6}
    limit = None if layer.max_value is None else float(layer.max_value)
    if layer.negative_slope or layer.threshold or limit not in variants:
        raise UnsupportedLayerError(
            layer,
            f"has max_value={layer.max_value}, negative_slope={layer.negative_slope}, "
            f"threshold={layer.threshold}",
            "use a plain ReLU, or max_value=6",
        )
    return variants[limit](x)


def _silu(x: tf.Tensor) -> tf.Tensor:
    return x * tf.sigmoid(x)  # LiteRT has no operation for it


_ACTIVATIONS: dict[Any, Callable[[tf.Tensor], tf.Tensor]] = {
    keras.activations.gelu: tf.nn.gelu,
    keras.activations.linear: tf.identity,
    keras.activations.relu: tf.nn.relu,
    keras.activations.relu6: tf.nn.relu6,
    keras.activations.sigmoid: tf.sigmoid,
    keras.activations.silu: _silu,
    keras.activations.softmax: tf.nn.softmax,
    keras.activations.tanh: tf.tanh,
}


def activation(layer: Any, x: tf.Tensor) -> tf.Tensor:
    """Applies the layer's activation, of an Activation, a Conv3D or a Dense."""
    if layer.activation not in _ACTIVATIONS:
        names = ", ".join(sorted(function.__name__ for function in _ACTIVATIONS))
        name = getattr(layer.activation, "__name__", layer.activation)
        raise UnsupportedLayerError(layer, f"has the activation {name}", f"use one of {names}")
    return _ACTIVATIONS[layer.activation](x)


def softmax(layer: layers.Softmax, x: tf.Tensor) -> tf.Tensor:
    if layer.axis not in (-1, _keras_rank(x) - 1):
        raise UnsupportedLayerError(
            layer, f"normalises axis {layer.axis}", "normalise the classes: axis=-1"
        )
    return tf.nn.softmax(x)


def unchanged(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return x


def zero_padding(layer: layers.ZeroPadding3D, x: tf.Tensor) -> tf.Tensor:
    check_channels_last(layer)
    return tf.pad(x, (*layer.padding, (0, 0)))


def concatenate_tensors(layer: layers.Concatenate, tensors: list[tf.Tensor]) -> tf.Tensor:
    rank = _keras_rank(tensors[0])
    axis = layer.axis % rank
    if axis == 0:
        raise UnsupportedLayerError(
            layer, "concatenates the batch axis", "concatenate another axis"
        )
    return concatenate(tensors, axis - 1 if rank == 5 else axis)


def add(layer: layers.Add, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.add, tensors)


def average(layer: layers.Average, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.add, tensors) * (1 / len(tensors))


def maximum(layer: layers.Maximum, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.maximum, tensors)


def minimum(layer: layers.Minimum, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.minimum, tensors)


def multiply(layer: layers.Multiply, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.multiply, tensors)


def subtract(layer: layers.Subtract, tensors: list[tf.Tensor]) -> tf.Tensor:
    return tf.subtract(*tensors)


def rescaling(layer: layers.Rescaling, x: tf.Tensor) -> tf.Tensor:
    scale, offset = (constant_of_one_clip(layer, each) for each in (layer.scale, layer.offset))
    return x * scale + offset


def flatten(layer: layers.Flatten, x: tf.Tensor) -> tf.Tensor:
    check_channels_last(layer)
    return tf.reshape(x, (1, -1))


def dense_vector(layer: layers.Dense, x: tf.Tensor) -> tf.Tensor:
    if _keras_rank(x) != 2:
        raise UnsupportedLayerError(
            layer,
            "is applied to a clip, not to a vector",
            "use an equivalent Conv3D with kernel_size=1",
        )
    y = tf.matmul(x, kernel_of(layer))
    return activation(layer, y + constant(layer.bias) if layer.use_bias else y)


def _keras_rank(x: tf.Tensor) -> int:
    """Returns the tensor's rank in Keras: a lowered clip has no batch axis."""
    return x.shape.rank + 1 if x.shape.rank == 4 else x.shape.rank


def channel_correlation(
    layer: SpatioTemporalChannelCorrelation, x: tf.Tensor, memory: Memory | None = None
) -> tf.Tensor:
    frames = tf.reduce_mean(x, axis=(1, 2))
    kernel = constant(layer.spatial_squeeze_kernel)
    if memory is not None or layer.causal:
        means = means_so_far(frames) if memory is None else memory.means(layer, frames[None])[0]
        temporal, spatial = means, means
        kernel = kernel.reshape(-1, frames.shape[-1], kernel.shape[-1]).sum(axis=0)
    else:
        temporal = tf.reduce_mean(frames, axis=0, keepdims=True)
        spatial = frames if layer.bins is None else tf.matmul(layer.bins, frames)
        spatial = tf.reshape(spatial, (1, -1))
    of_mean = _factors(layer, "temporal", temporal, constant(layer.temporal_squeeze_kernel))
    of_frames = _factors(layer, "spatial", spatial, kernel)
    if layer.combine == "maximum":
        return tf.maximum(x * of_mean, x * of_frames)
    factors = of_mean + of_frames
    return x * (factors * 0.5 if layer.combine == "average" else factors)


def _factors(
    layer: SpatioTemporalChannelCorrelation, branch: str, means: tf.Tensor, squeeze: Any
) -> tf.Tensor:
    """Applies the two dense layers of a branch to the rows of a matrix."""

    def dense(name: str, x: tf.Tensor, kernel: Any) -> tf.Tensor:
        y = tf.matmul(x, kernel)
        return y + constant(getattr(layer, f"{branch}_{name}_bias")) if layer.use_bias else y

    hidden = activation(layer, dense("squeeze", means, squeeze))
    excite = constant(getattr(layer, f"{branch}_excite_kernel"))
    factors = tf.sigmoid(dense("excite", hidden, excite))
    return tf.reshape(factors, (-1, 1, 1, factors.shape[-1]))
