"""Convolutions of a model to export, into which batch normalizations are folded.

In inference, a batch normalization is one scale and one offset per channel: the scale of the
kernel before it, and its bias.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.network import constant, kernel_of
from keras_t3d.layers import ClipConv3D


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A 3D convolution with constant weights.

    Attributes:
        kernel: (depth, height, width, channels / groups, filters). Groups follow from it, as in
            `tf.nn.conv2d`.
        bias: (filters,), or None.
        strides, dilations: (time, height, width).
        padding: `"valid"`, Keras's `"same"`, `"even"`, as PyTorch pads, or `"same_frames"`.
        time_padding: padding of time where it differs: `"causal"` or `"valid"`.
    """

    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: Sequence[int] = (1, 1, 1)
    padding: str = "even"
    dilations: Sequence[int] = (1, 1, 1)
    time_padding: str | None = None

    @classmethod
    def of(cls, layer: ClipConv3D | layers.Conv3D, **options: Any) -> Convolution:
        """Returns the convolution of a layer, without its activation."""
        bias = constant(layer.bias) if layer.use_bias else None
        return cls(kernel_of(layer), bias, layer.strides, **options)

    def normalized_by(self, norm: layers.BatchNormalization) -> Convolution:
        """Returns one convolution that computes this one and then a batch normalization."""
        scale, offset = scale_and_offset(norm)
        if self.bias is not None:
            offset = offset + self.bias * scale
        kernel, bias = (self.kernel * scale).astype(np.float32), offset.astype(np.float32)
        return dataclasses.replace(self, kernel=kernel, bias=bias)


Convolve = Callable[[tf.Tensor, Convolution], tf.Tensor]  # a method of convolution


def scale_and_offset(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Returns the layer's scale and offset per channel, in float64."""
    scale = 1.0 / np.sqrt(constant(norm.moving_variance).astype(np.float64) + norm.epsilon)
    if norm.scale:
        scale = scale * constant(norm.gamma)
    offset = -constant(norm.moving_mean) * scale
    if norm.center:
        offset = offset + constant(norm.beta)
    return scale, offset


@dataclasses.dataclass(eq=False)
class PendingConvolution:
    """A convolution that is computed when its result is read.

    A batch normalization that reads it is folded into it. All other operations read a tensor,
    into which TensorFlow converts this object.
    """

    clips: tf.Tensor
    convolution: Convolution
    convolve: Convolve
    dtype = tf.float32

    @functools.cached_property
    def tensor(self) -> tf.Tensor:
        """Result of the convolution."""
        return self.convolve(self.clips, self.convolution)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return self.tensor

    def normalized_by(self, norm: layers.BatchNormalization) -> tf.Tensor:
        """Returns the batch-normalized result."""
        return self.convolve(self.clips, self.convolution.normalized_by(norm))


def computed(tensors: Any) -> Any:
    """Returns the same nest of tensors, with all pending convolutions computed."""
    return tf.nest.map_structure(
        lambda x: x.tensor if isinstance(x, PendingConvolution) else x, tensors
    )
