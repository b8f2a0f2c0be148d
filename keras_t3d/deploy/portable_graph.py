"""Computes a model by operations that other runtimes read as they are: OpenVINO, ONNX Runtime.

TensorFlow's CPU kernels are fast for some forms of an operation only, which `folding.py` makes.
Other runtimes have their own, and make them from the plain operation: a 3D convolution is one
operation here, with its strides and groups, and a batch normalization that no convolution precedes
is a multiplication and an addition.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_t3d.deploy.convolution import Convolution, PendingConvolution, scale_and_offset
from keras_t3d.deploy.folding import Rules
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D
from keras_t3d.layers.operations.normalization import ACTIVATIONS
from keras_t3d.layers.operations.padding import Padding, pad, without_unread_frames


def _clip_conv3d(layer: ClipConv3D, clips: tf.Tensor) -> PendingConvolution:
    time_padding = "causal" if layer.causal else None
    convolution = Convolution.of(layer, padding=layer.padding, time_padding=time_padding)
    return PendingConvolution(clips, convolution, _convolve)


def _convolve(clips: tf.Tensor, convolution: Convolution) -> tf.Tensor:
    kernel, strides = convolution.kernel, convolution.strides
    padding = Padding(convolution.padding, convolution.time_padding or "even")
    clips, padding = without_unread_frames(clips, kernel.shape[0], strides[0], padding)
    clips = pad(clips, kernel, strides, padding)
    y = tf.nn.conv3d(clips, kernel, (1, *strides, 1), "VALID")
    return y if convolution.bias is None else y + convolution.bias


def _clip_batch_normalization(
    layer: ClipBatchNormalization, clips: tf.Tensor | PendingConvolution
) -> tf.Tensor:
    if isinstance(clips, PendingConvolution):
        normalized = clips.normalized_by(layer)
    else:
        scale, offset = scale_and_offset(layer)
        normalized = clips * scale.astype(np.float32) + offset.astype(np.float32)
    return ACTIVATIONS[layer.activation](normalized)


PORTABLE_RULES: Rules = {
    ClipBatchNormalization: _clip_batch_normalization,
    ClipConv3D: _clip_conv3d,
}
