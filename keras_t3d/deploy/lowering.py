"""Rewrites a 3D model, for one clip, with 2D operations only.

LiteRT has no 3D pooling, and its 3D convolution is slow. So the batch axis, always 1 here, is
dropped, and time takes its place: Keras's (1, T, H, W, C) tensor is a (T, H, W, C) tensor here, to
which a 2D operation applies frame by frame. Keras's (1, C) tensor stays as it is. The rewrite is
exact: only the order in which floats are added changes.

Each Keras layer class has one small function, in the table `_RULES` at the end; its rules lie here
and in `convolution_2d.py`, `pooling_2d.py` and `pointwise_2d.py`. Models and composite layers are
computed from their layers; functions of `keras.ops` have rules in `operations_2d.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from keras_t3d.deploy import operations_2d, pointwise_2d, pooling_2d
from keras_t3d.deploy.convolution import Convolution, Convolve, PendingConvolution, computed
from keras_t3d.deploy.convolution_2d import add_taps, concatenate
from keras_t3d.deploy.errors import (
    ExportError,
    UnsupportedLayerError,
    UntraceableLayerError,
    check_channels_last,
    check_not_quantized,
)
from keras_t3d.deploy.layer_rules import find_rule
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipConv3D,
    ClipMaxPooling3D,
    ClipNormalization,
    GlobalDeviationPooling3D,
    SpatioTemporalChannelCorrelation,
    Stem3D,
)
from keras_t3d.models import VideoClassifier
from keras_t3d.models.composition import in_order
from keras_t3d.private_interfaces import computing_in_float32
from keras_t3d.streaming.averages import GLOBAL_POOLS
from keras_t3d.streaming.averages import pool as pool_step
from keras_t3d.streaming.memory import Memory


def lower(
    model: keras.Model, convolve: Convolve = add_taps, memory: Memory | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that computes the model for one clip with 2D operations.

    Weights become constants, and everything is computed in float32, whatever the model's dtype
    policy. Layers act as in inference.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`.
        convolve: method of 3D convolution: `convolution_2d.add_taps`, best for floats, or
            `join_frames`, best for integers.
        memory: for one step of a stream (see `keras_t3d.streaming`), the state before it, without
            a batch axis of clips; the function adds the state after the step.

    Returns:
        A function from a float32 tensor or array of shape (frames, height, width, channels) to
        the model's output for that clip, float32. A vector keeps its batch axis, of size 1.

    Raises:
        UnsupportedLayerError: from the returned function, if the model contains a layer without
            a rule, or one with an option that its rule does not support.

    Example:

    ```python
    model = keras_t3d.models.T3DTiny(input_shape=(16, 112, 112, 3), num_classes=2)
    clip = np.zeros((16, 112, 112, 3), "float32")
    logits = tf.function(lower(model))(clip)  # (1, 2), as model(clip[None])
    ```
    """
    normalized: list[_NormalizedPixels] = []
    rules: dict[type[Any], Callable[..., Any]] = {
        **_RULES,
        ClipConv3D: functools.partial(
            _clip_conv3d, convolve=convolve, memory=memory, normalized=normalized
        ),
        ClipNormalization: functools.partial(_clip_normalization, normalized=normalized),
        layers.Conv3D: functools.partial(_conv3d, convolve=convolve),
    }
    if memory is not None:
        max_pool = functools.partial(pooling_2d.clip_max_pooling, memory=memory)
        rules[ClipMaxPooling3D] = max_pool
        rules[SpatioTemporalChannelCorrelation] = functools.partial(
            pointwise_2d.channel_correlation, memory=memory
        )
        rules |= {each: functools.partial(pool_step, memory=memory) for each in GLOBAL_POOLS}

    def apply(layer: Any, *tensors: Any, **options: Any) -> Any:
        """Runs one layer by its rule, in a name scope of its name."""
        tensors, options = in_order(layer, tensors, options)
        given = {name: value for name, value in options.items() if value not in (None, False)}
        if given:
            raise UnsupportedLayerError(
                layer, f"is called with {given}", "call it without them, as in inference"
            )
        layer = operations_2d.equivalent_layer(layer) or layer
        check_not_quantized(layer)
        rule = find_rule(layer, rules, apply, _incremental_concatenation)
        rule = rule or operations_2d.arithmetic(layer)
        if rule is None:
            known = ", ".join(sorted(known.__name__ for known in rules))
            remedy = (
                f"build the model and its composite layers from {known} and the operators "
                "+ - * /, or add a rule to keras_t3d/deploy/lowering.py"
            )
            raise UnsupportedLayerError(layer, "has no 2D form", remedy)
        try:
            with tf.name_scope(_INVALID_IN_SCOPE.sub("_", layer.name)):
                return rule(*tensors)
        except ExportError:
            raise
        except Exception as error:
            raise UntraceableLayerError(layer, error) from error

    rules[Stem3D] = functools.partial(_stem, apply=apply)

    def lowered(clip: Any) -> Any:
        with computing_in_float32(model):
            return computed(apply(model, tf.convert_to_tensor(clip, tf.float32)))

    return lowered


def check_lowerable(model: VideoClassifier) -> None:
    """Raises UnsupportedLayerError unless `lower` has a rule for every layer of the model.

    Nothing is computed, so this is quick for a large network too.
    """
    clip = tf.TensorSpec(model.clip_spec.input_shape)
    tf.function(lower(model, _only_shape), autograph=False).get_concrete_function(clip)


def _only_shape(clips: tf.Tensor, convolution: Convolution) -> tf.Tensor:
    """Returns zeros of the shape of a convolution's result."""
    sides = []
    axes = zip(convolution.kernel.shape, convolution.strides, convolution.dilations, strict=False)
    for axis, (length, (size, stride, dilation)) in enumerate(zip(clips.shape, axes, strict=False)):
        padding = (axis == 0 and convolution.time_padding) or convolution.padding
        reach = (size - 1) * dilation if padding == "valid" else 0
        sides.append((length - reach - 1) // stride + 1)
    return tf.zeros((*sides, convolution.kernel.shape[-1]))


_INVALID_IN_SCOPE = re.compile("^[^A-Za-z0-9.]|[^A-Za-z0-9_.-]")


def _incremental_concatenation() -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Returns a function that concatenates a dense block's features incrementally.

    It joins the previous result and the new features, as LiteRT's fast kernels concatenate five
    tensors at most.
    """
    inputs: tuple[Any, ...] = ()
    result: Any = None

    def join(tensors: Sequence[Any]) -> Sequence[Any]:
        nonlocal inputs, result
        if len(tensors) == 1:
            return tensors
        grown = 1 < len(inputs) <= len(tensors) and all(
            a is b for a, b in zip(inputs, tensors, strict=False)
        )
        added = computed(list(tensors[len(inputs) if grown else 0 :]))
        result = concatenate([result, *added] if grown else added, -1)
        inputs = tuple(tensors)
        return [result]

    return join


# Convolution.


@dataclasses.dataclass(frozen=True)
class _NormalizedPixels:
    """Pixels, normalized by a layer."""

    tensor: tf.Tensor
    layer: ClipNormalization
    pixels: tf.Tensor


def _clip_normalization(
    layer: ClipNormalization, x: tf.Tensor, normalized: list[_NormalizedPixels]
) -> tf.Tensor:
    normalized.append(_NormalizedPixels(pointwise_2d.clip_normalization(layer, x), layer, x))
    return normalized[-1].tensor


def _clip_conv3d(
    layer: ClipConv3D,
    x: tf.Tensor,
    convolve: Convolve,
    memory: Memory | None,
    normalized: Sequence[_NormalizedPixels],
) -> PendingConvolution:
    time_padding = "causal" if layer.causal else None
    if memory is not None:
        x, time_padding = memory.extend(layer, x)
    unread = layer.strides[0] - layer.kernel_size[0]
    if time_padding == "causal" and unread > 0 and x.shape[0] == layer.strides[0]:
        x, time_padding = _without_first(x, unread, normalized), "valid"
    convolution = Convolution.of(layer, padding=layer.padding, time_padding=time_padding)
    return PendingConvolution(x, convolution, _in_this_scope(convolve))


def _without_first(x: tf.Tensor, count: int, normalized: Sequence[_NormalizedPixels]) -> tf.Tensor:
    """Drops the first frames, before they are normalized if they are pixels."""
    for each in normalized:
        if each.tensor is x:
            return pointwise_2d.clip_normalization(each.layer, each.pixels[count:])
    return x[count:]


def _in_this_scope(convolve: Convolve) -> Convolve:
    """Computes in the name scope of the current layer, not of the layer that reads the result."""
    scope = tf.get_current_name_scope()

    def scoped(clips: tf.Tensor, convolution: Convolution) -> tf.Tensor:
        with tf.name_scope(f"{scope}/" if scope else "convolution"):
            return convolve(clips, convolution)

    return scoped


def _conv3d(
    layer: layers.Conv3D, x: tf.Tensor, convolve: Convolve
) -> tf.Tensor | PendingConvolution:
    check_channels_last(layer)
    convolution = Convolution.of(layer, padding=layer.padding, dilations=layer.dilation_rate)
    pending = PendingConvolution(x, convolution, _in_this_scope(convolve))
    if layer.activation is keras.activations.linear:
        return pending
    return pointwise_2d.activation(layer, pending.tensor)


def _stem(layer: Stem3D, x: tf.Tensor, apply: Callable[..., Any]) -> tf.Tensor:
    """Computes the ReLU before the pool, not after, which is equivalent and can be fused.

    LiteRT computes a separate int8 ReLU value by value: 7 ns each.
    """
    x = apply(layer.bn, apply(layer.conv, x))
    return x if layer.pool_strides is None else apply(layer.pool, tf.nn.relu(computed(x)))


_RULES: dict[type[Any], Callable[..., tf.Tensor]] = {
    ClipBatchNormalization: pointwise_2d.clip_batch_normalization,
    ClipMaxPooling3D: pooling_2d.clip_max_pooling,
    GlobalDeviationPooling3D: pooling_2d.deviation_pooling,
    SpatioTemporalChannelCorrelation: pointwise_2d.channel_correlation,
    layers.Activation: pointwise_2d.activation,
    layers.Add: pointwise_2d.add,
    layers.Average: pointwise_2d.average,
    layers.AveragePooling3D: pooling_2d.average_pooling,
    layers.BatchNormalization: pointwise_2d.batch_normalization,
    layers.Concatenate: pointwise_2d.concatenate_tensors,
    layers.Dense: pointwise_2d.dense_vector,
    layers.Dropout: pointwise_2d.unchanged,
    layers.Flatten: pointwise_2d.flatten,
    layers.GaussianDropout: pointwise_2d.unchanged,
    layers.GaussianNoise: pointwise_2d.unchanged,
    layers.GlobalAveragePooling3D: functools.partial(
        pooling_2d.global_pooling, reduce=tf.reduce_mean
    ),
    layers.GlobalMaxPooling3D: functools.partial(pooling_2d.global_pooling, reduce=tf.reduce_max),
    layers.Identity: pointwise_2d.unchanged,
    layers.Maximum: pointwise_2d.maximum,
    layers.MaxPooling3D: pooling_2d.max_pooling,
    layers.Minimum: pointwise_2d.minimum,
    layers.Multiply: pointwise_2d.multiply,
    layers.ReLU: pointwise_2d.relu,
    layers.Rescaling: pointwise_2d.rescaling,
    layers.Softmax: pointwise_2d.softmax,
    layers.SpatialDropout3D: pointwise_2d.unchanged,
    layers.Subtract: pointwise_2d.subtract,
    layers.ZeroPadding3D: pointwise_2d.zero_padding,
}
