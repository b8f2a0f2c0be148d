"""Folds a network for inference: weights are constants, and batch normalisations vanish.

TensorFlow computes a 3D convolution, its bias, the addition of a residual and a ReLU in one
step if the kernel is a constant. So a batch normalisation that reads a ClipConv3D is folded
into its kernel and bias; one that reads anything else, as DenseNet's do, stays, with
constants.

One small function a class of layer, in the table `_RULES` at the end; models and composite
layers are computed by their layers, any other layer is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_t3d.deploy.batch_normalization import WaitingConvolution, computed
from keras_t3d.deploy.rules import find_rule, is_functional
from keras_t3d.deploy.weights import constant, in_float32
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D
from keras_t3d.layers.operations import convolve, normalize_by


def fold(model: keras.Model) -> Callable[[tf.Tensor], Any]:
    """Returns a function that computes in inference what the model computes, in less time.

    Weights become constants, and everything is computed in float32, whatever the
    model's dtype policy.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`.

    Returns:
        A function from clips of that shape, of any dtype, to the model's output, or its
        list of outputs, float32. Trace it with `tf.function`.

    Example:

    ```python
    model = keras_t3d.models.ResNet3D50(input_shape=(16, 112, 112, 3), num_classes=2)
    clips = np.zeros((1, 16, 112, 112, 3), "uint8")
    logits = tf.function(fold(model))(clips)  # (1, 2), as model(clips)
    ```
    """
    network = in_float32(model)
    return lambda clips: computed(_apply(network, tf.cast(clips, tf.float32)))


def _apply(layer: Any, *inputs: Any, **options: Any) -> Any:
    """Runs one layer by its rule."""
    rule = find_rule(layer, _RULES, _apply)
    # In a functional model, the layers have been told one by one.
    in_training = options.get("training") and not is_functional(layer)
    if rule is None or in_training:
        return _call(layer, computed(inputs), computed(options))
    return rule(*inputs)


def _call(layer: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Runs any other layer, or operation of Keras, with its weights as constants."""
    if not isinstance(layer, keras.Layer):
        return layer(*inputs, **options)
    with tf.init_scope():
        values = [keras.ops.convert_to_numpy(variable) for variable in layer.variables]
    constants = [
        (variable, tf.constant(value))
        for variable, value in zip(layer.variables, values, strict=True)
    ]
    with keras.StatelessScope(state_mapping=constants):
        return layer(*inputs, **{"training": False, **options})


# Convolution and batch normalisation.


def _clip_conv3d(layer: ClipConv3D, clips: tf.Tensor) -> WaitingConvolution:
    return WaitingConvolution(layer, clips, _convolve)


def _convolve(
    clips: tf.Tensor, kernel: np.ndarray, bias: np.ndarray | None, strides: Sequence[int]
) -> tf.Tensor:
    """TensorFlow's 3D convolution if a bias follows, for the two are one step.

    Alone it is slower than 2-D convolutions, and it has no groups; and a kernel that
    is deeper than the clip would multiply by zeros.
    """
    grouped = kernel.shape[-2] != clips.shape[-1]
    idle_taps = strides[0] == 1 and kernel.shape[0] // 2 >= clips.shape[1]
    if bias is None:
        return convolve(clips, tf.constant(kernel), strides)
    if grouped or idle_taps:
        return tf.nn.bias_add(convolve(clips, tf.constant(kernel), strides), bias)
    sizes = kernel.shape[:3]
    padding = "SAME"  # even, where nothing strides
    if max(strides) > 1:
        evenly = [((size - 1) // 2, size // 2) for size in sizes]
        clips = tf.pad(clips, [(0, 0), *evenly, (0, 0)]) if max(sizes) > 1 else clips
        padding = "VALID"
    return tf.nn.bias_add(tf.nn.conv3d(clips, kernel, (1, *strides, 1), padding), bias)


def _clip_batch_normalization(
    layer: ClipBatchNormalization, clips: tf.Tensor | WaitingConvolution
) -> tf.Tensor:
    relu = layer.activation == "relu"
    if isinstance(clips, WaitingConvolution):
        y = clips.normalized_by(layer)
        return tf.nn.relu(y) if relu else y
    mean, variance, gamma, beta = (
        constant(weight)
        for weight in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    return normalize_by(clips, mean, variance, gamma, beta, layer.epsilon, relu)


_RULES: dict[type[Any], Callable[..., Any]] = {
    ClipBatchNormalization: _clip_batch_normalization,
    ClipConv3D: _clip_conv3d,
}
