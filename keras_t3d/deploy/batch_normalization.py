"""Batch normalization in inference: one scale and one offset per channel.

Both are folded into a preceding convolution, as its kernel's scale and its bias.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.network import constant
from keras_t3d.layers import ClipConv3D

# (clips, kernel, bias or None, strides (time, height, width)) -> clips
Convolve = Callable[[tf.Tensor, np.ndarray, np.ndarray | None, Sequence[int]], tf.Tensor]


def scale_and_offset(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Returns the layer's scale and offset per channel, in float64."""
    scale = 1.0 / np.sqrt(constant(norm.moving_variance).astype(np.float64) + norm.epsilon)
    if norm.scale:
        scale = scale * constant(norm.gamma)
    offset = -constant(norm.moving_mean) * scale
    if norm.center:
        offset = offset + constant(norm.beta)
    return scale, offset


class PendingConvolution:
    """A convolution that is computed when its result is read.

    A batch normalization that reads it is folded into it. All other operations read a tensor,
    into which TensorFlow converts this object.

    Args:
        layer: ClipConv3D, or a Conv3D without an activation.
        clips: input of the convolution.
        convolve: method of the convolution.
    """

    dtype = tf.float32

    def __init__(
        self, layer: ClipConv3D | layers.Conv3D, clips: tf.Tensor, convolve: Convolve
    ) -> None:
        self.kernel = constant(layer.kernel)
        self.bias = constant(layer.bias) if layer.use_bias else None
        self.strides = layer.strides
        self.clips = clips
        self.convolve = convolve

    @functools.cached_property
    def tensor(self) -> tf.Tensor:
        """Result of the convolution."""
        return self.convolve(self.clips, self.kernel, self.bias, self.strides)

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return self.tensor

    def normalized_by(self, norm: layers.BatchNormalization) -> tf.Tensor:
        """Returns the batch-normalized result."""
        scale, offset = scale_and_offset(norm)
        if self.bias is not None:
            offset = offset + self.bias * scale
        kernel, bias = (self.kernel * scale).astype(np.float32), offset.astype(np.float32)
        return self.convolve(self.clips, kernel, bias, self.strides)


def computed(tensors: Any) -> Any:
    """Returns the same nest of tensors, with all pending convolutions computed."""
    return tf.nest.map_structure(
        lambda x: x.tensor if isinstance(x, PendingConvolution) else x, tensors
    )
