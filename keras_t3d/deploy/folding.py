"""Folds a model for inference: weights become constants, batch normalizations are folded.

TensorFlow fuses a 3D convolution, its bias, the addition of a residual and a ReLU if the kernel is
a constant. So a batch normalization that reads a ClipConv3D is folded into its kernel and bias; any
other one, as in DenseNet, stays, with constants.

Each layer class with a rule has one small function, in the table `_RULES` at the end; other
runtimes have a table of their own (`portable_graph.py`). Models and composite layers are computed
from their layers; any other layer is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_t3d.deploy.convolution import Convolution, PendingConvolution, computed
from keras_t3d.deploy.errors import ExportError, UntraceableLayerError
from keras_t3d.deploy.layer_rules import find_rule
from keras_t3d.deploy.network import constant
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D
from keras_t3d.layers.operations.convolution import convolve
from keras_t3d.layers.operations.normalization import ACTIVATIONS, normalize_by
from keras_t3d.layers.operations.padding import Padding, pad, unmerged, without_unread_frames
from keras_t3d.models.composition import in_order
from keras_t3d.private_interfaces import computing_in_float32, is_functional

Rules = Mapping[type[Any], Callable[..., Any]]  # functions `rule(layer, *inputs)` by class of layer


def fold(model: keras.Model, rules: Rules | None = None) -> Callable[[tf.Tensor], Any]:
    """Returns a faster function that computes the model in inference.

    Weights become constants, and everything is computed in float32, whatever the
    model's dtype policy.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`.
        rules: how layers are computed; None for what TensorFlow computes fastest.

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

    rules = _RULES if rules is None else rules

    def apply(layer: Any, *inputs: Any, **options: Any) -> Any:
        """Runs one layer by its rule."""
        inputs, options = in_order(layer, inputs, options)
        rule = find_rule(layer, rules, apply)
        # A functional model passes `training` to each of its layers.
        in_training = options.get("training") and not is_functional(layer)
        try:
            if rule is None or in_training:
                return _call(layer, computed(inputs), computed(options))
            return rule(*inputs)
        except ExportError:
            raise
        except Exception as error:
            raise UntraceableLayerError(layer, error) from error

    def folded(clips: Any) -> Any:
        with computing_in_float32(model):
            return computed(apply(model, tf.cast(clips, tf.float32)))

    return folded


def _call(layer: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Calls a layer or Keras operation without a rule, with its weights as constants."""
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


# Convolution and batch normalization.


def _clip_conv3d(layer: ClipConv3D, clips: tf.Tensor) -> PendingConvolution:
    return PendingConvolution(
        clips,
        Convolution.of(
            layer, padding=layer.padding, time_padding="causal" if layer.causal else None
        ),
        _convolve,
    )


def _convolve(
    clips: tf.Tensor, convolution: Convolution, activation: str | None = None
) -> tf.Tensor:
    """Uses TensorFlow's 3D convolution if a bias follows, as the two are fused.

    Without a bias it is slower than 2D convolutions. It has no groups, and with a kernel deeper
    than the clip it multiplies by zeros. A ReLU is fused too, also with padding; for other
    activations after padding see `unmerged`.
    """
    kernel, bias, strides = convolution.kernel, convolution.bias, convolution.strides
    padding = Padding(convolution.padding, convolution.time_padding or "even")
    clips, padding = without_unread_frames(clips, kernel.shape[0], strides[0], padding)
    grouped = kernel.shape[-2] != clips.shape[-1]
    idle_taps = strides[0] == 1 and kernel.shape[0] // 2 >= clips.shape[1]
    if bias is None or grouped or idle_taps:
        y = convolve(clips, tf.constant(kernel), strides, padding)
        return ACTIVATIONS[activation](y if bias is None else tf.nn.bias_add(y, bias))
    is_even = max(strides) == 1 and (padding.time == "even" or kernel.shape[0] == 1)
    is_padded, left = not is_even and max(kernel.shape[:3]) > 1, "SAME"
    if is_padded:  # "SAME" is even without strides only
        clips, left = pad(clips, kernel, strides, padding), "VALID"
    elif tf.is_symbolic_tensor(clips) and clips.op.type == "Pad":  # of a ZeroPadding3D
        clips = unmerged(clips)
    y = tf.nn.bias_add(tf.nn.conv3d(clips, kernel, (1, *strides, 1), left), bias)
    if activation is not None:
        return ACTIVATIONS[activation](y)
    return unmerged(y) if is_padded else y


def _clip_batch_normalization(
    layer: ClipBatchNormalization, clips: tf.Tensor | PendingConvolution
) -> tf.Tensor:
    if isinstance(clips, PendingConvolution):
        return _convolve(clips.clips, clips.convolution.normalized_by(layer), layer.activation)
    mean, variance = constant(layer.moving_mean), constant(layer.moving_variance)
    gamma = constant(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = constant(layer.beta) if layer.center else np.zeros_like(mean)
    return normalize_by(clips, mean, variance, gamma, beta, layer.epsilon, layer.activation)


_RULES: Rules = {
    ClipBatchNormalization: _clip_batch_normalization,
    ClipConv3D: _clip_conv3d,
}
