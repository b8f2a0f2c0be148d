"""Rewrites a 3D network, for one clip, with 2-D operations only.

LiteRT has no 3-D pooling, and its 3-D convolution is slow. So the batch axis,
always 1 here, is dropped, and time takes its place: what Keras holds as
(1, T, H, W, C) is a (T, H, W, C) tensor here, to which a 2-D operation applies
frame by frame. What Keras holds as (1, C) stays as it is. The rewrite is exact:
it changes only the order in which floats are added.

One small function a Keras layer class, in the table `_RULES` at the end; convolutions lie in
`convolution_2d.py`. Models and composite layers are computed by their layers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.batch_normalization import WaitingConvolution, computed, scale_and_offset
from keras_t3d.deploy.convolution_2d import (
    Convolve,
    add_taps,
    concatenate,
    frames_or_zeros,
    take_frames,
)
from keras_t3d.deploy.rules import find_rule
from keras_t3d.deploy.weights import constant
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipConv3D,
    ClipMaxPooling3D,
    ClipNormalization,
    SpatioTemporalChannelCorrelation,
    Stem3D,
)
from keras_t3d.layers.temporal_windows import TemporalWindows


def lower(model: keras.Model, convolve: Convolve = add_taps) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that computes with 2-D operations what the model computes for one clip.

    Weights become constants, and everything is computed in float32, whatever the
    model's dtype policy. Layers act as in inference.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`.
        convolve: how convolutions are computed: `convolution_2d.add_taps`, best for floats, or
            `join_frames`, for what becomes whole numbers. Defaults to `add_taps`.

    Returns:
        A function from a float32 tensor or array of shape (frames, height,
        width, channels) to the model's output for that clip, float32; the output keeps
        its batch axis, of size 1, if it is a vector.

    Raises:
        ValueError: from the returned function, if the model contains a layer that
            has no rule, or uses an option that its rule does not know.

    Example:

    ```python
    model = keras_t3d.models.T3DTiny(input_shape=(16, 112, 112, 3), num_classes=2)
    clip = np.zeros((16, 112, 112, 3), "float32")
    logits = tf.function(lower(model))(clip)  # (1, 2), as model(clip[None])
    ```
    """
    rules: dict[type[Any], Callable[..., Any]] = {
        **_RULES,
        ClipConv3D: functools.partial(_clip_conv3d, convolve=convolve),
        layers.Conv3D: functools.partial(_conv3d, convolve=convolve),
    }

    def apply(layer: Any, *tensors: Any, **options: Any) -> Any:
        """Runs one layer by its rule, under its name."""
        given = {name: value for name, value in options.items() if value not in (None, False)}
        if given:
            raise _refusal(layer, f"is called with {given}", "call it without, as for inference")
        rule = find_rule(layer, rules, apply, _joining_by_two)
        if rule is None:
            known = ", ".join(sorted(known.__name__ for known in rules))
            remedy = (
                f"build the network, its models and composite layers from {known}, or add a rule"
            )
            raise _refusal(layer, "has no 2-D form", remedy)
        with tf.name_scope(_NO_SCOPE_NAME.sub("_", layer.name)):
            return rule(*tensors)

    rules[Stem3D] = functools.partial(_stem, apply=apply)
    return lambda clip: computed(apply(model, tf.convert_to_tensor(clip, tf.float32)))


_NO_SCOPE_NAME = re.compile("^[^A-Za-z0-9.]|[^A-Za-z0-9_.-]")


def _joining_by_two() -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Joins what a dense block has grown to and what is new, not all of it from the beginning.

    LiteRT's fast kernels concatenate five tensors at most.
    """
    inputs: tuple[Any, ...] = ()
    result: Any = None

    def join(wanted: Sequence[Any]) -> Sequence[Any]:
        nonlocal inputs, result
        if len(wanted) == 1:
            return wanted
        grown = 1 < len(inputs) <= len(wanted) and all(
            a is b for a, b in zip(inputs, wanted, strict=False)
        )
        fresh = computed(list(wanted[len(inputs) if grown else 0 :]))
        result = concatenate([result, *fresh] if grown else fresh, -1)
        inputs = tuple(wanted)
        return [result]

    return join


def _refusal(layer: Any, problem: str, remedy: str) -> ValueError:
    return ValueError(
        f"This network cannot be rewritten with the 2-D operations that LiteRT runs: its layer "
        f"{layer.name!r} {problem}. To export it, {remedy} (keras_t3d/deploy/lowering.py). "
        f"Received: a layer of class {type(layer).__name__}"
    )


# Convolution.


def _clip_conv3d(layer: ClipConv3D, x: tf.Tensor, convolve: Convolve) -> WaitingConvolution:
    return WaitingConvolution(layer, x, _in_this_scope(convolve, padding="even"))


def _in_this_scope(convolve: Convolve, **options: Any) -> Callable[..., tf.Tensor]:
    """The same, named after the layer at hand, not after that which comes to read it."""
    scope = tf.get_current_name_scope()

    def scoped(*inputs: Any) -> tf.Tensor:
        with tf.name_scope(f"{scope}/" if scope else "convolution"):
            return convolve(*inputs, **options)

    return scoped


def _conv3d(
    layer: layers.Conv3D, x: tf.Tensor, convolve: Convolve
) -> tf.Tensor | WaitingConvolution:
    _check_channels_last(layer)
    options = {"padding": layer.padding, "dilations": layer.dilation_rate}
    waiting = WaitingConvolution(layer, x, _in_this_scope(convolve, **options))
    if layer.activation is keras.activations.linear:
        return waiting
    return _activation(layer, waiting.tensor)


def _check_channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise _refusal(
            layer, f"has data_format={layer.data_format!r}", "use data_format='channels_last'"
        )


def _stem(layer: Stem3D, x: tf.Tensor, apply: Callable[..., Any]) -> tf.Tensor:
    """ReLU before the pool, not after, which is the same: a convolution takes it up.

    By itself, in whole numbers, LiteRT computes it one by one: 7 ns a value.
    """
    x = apply(layer.bn, apply(layer.conv, x))
    return x if layer.pool_strides is None else apply(layer.pool, tf.nn.relu(computed(x)))


# Pooling: 2-D for space, then frames for time. Nothing is padded with the least number there is:
# 8 bits could not tell it from all others.


def _clip_max_pooling(layer: ClipMaxPooling3D, x: tf.Tensor) -> tf.Tensor:
    for axis, size in enumerate(layer.pool_size[1:], start=1):
        if size > 1:
            x = _padded_for_maximum(x, axis, size // 2)
    x = _pool_space(tf.nn.max_pool2d, layer, x, "VALID")
    return _max_pool_time(layer, x, "even")


def _padded_for_maximum(x: tf.Tensor, axis: int, count: int) -> tf.Tensor:
    """Pads with what no maximum is changed by: zeros where all else is more, else the border."""
    if tf.is_symbolic_tensor(x) and x.op.type in ("Relu", "Relu6"):
        paddings = np.zeros((4, 2), int)
        paddings[axis] = count
        return tf.pad(x, paddings)
    begin, sizes = np.zeros(4, int), np.array(x.shape)
    sizes[axis] = 1
    first = tf.slice(x, begin, sizes)
    begin[axis] = x.shape[axis] - 1
    last = tf.slice(x, begin, sizes)
    return concatenate([*[first] * count, x, *[last] * count], axis)


def _max_pooling(layer: layers.MaxPooling3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    x = _pool_space(tf.nn.max_pool2d, layer, x, layer.padding.upper())
    return _max_pool_time(layer, x, layer.padding)


def _max_pool_time(layer: Any, x: tf.Tensor, padding: str) -> tf.Tensor:
    windows = TemporalWindows(x.shape[0], layer.pool_size[0], layer.strides[0], padding)
    taps = (take_frames(x, windows.nearest_inputs(tap)) for tap in range(windows.size))
    return functools.reduce(tf.maximum, taps)


def _average_pooling(layer: layers.AveragePooling3D, x: tf.Tensor) -> tf.Tensor:
    """The mean of what is there: padding does not count, as in Keras."""
    _check_channels_last(layer)
    pool2d = tf.nn.avg_pool2d if layer.padding == "same" else _depthwise_mean
    x = _pool_space(pool2d, layer, x, layer.padding.upper())
    windows = TemporalWindows(x.shape[0], layer.pool_size[0], layer.strides[0], layer.padding)
    taps = windows.by_reach()
    total = functools.reduce(tf.add, (frames_or_zeros(x, windows, tap) for tap in taps))
    present = np.zeros((windows.count, 1, 1, 1), np.float32)
    for tap in taps:
        present[list(windows.outputs(tap))] += 1
    if (present == present[0]).all():
        present = present[0, 0, 0, 0]
    return total if windows.size == 1 else total * (1 / present)


def _depthwise_mean(
    x: tf.Tensor, size: Sequence[int], strides: Sequence[int], padding: str
) -> tf.Tensor:
    """An average pool; LiteRT's own takes ten times as long in whole numbers."""
    if strides[0] != strides[1]:  # which TensorFlow's depthwise convolution does not have
        return tf.nn.avg_pool2d(x, size, strides, padding)
    kernel = np.full((*size, x.shape[-1], 1), 1 / np.prod(size), np.float32)
    return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), padding)


def _pool_space(
    pool2d: Callable[..., tf.Tensor], layer: Any, x: tf.Tensor, padding: str
) -> tf.Tensor:
    if tuple(layer.pool_size[1:]) == tuple(layer.strides[1:]) == (1, 1):
        return x
    return pool2d(x, layer.pool_size[1:], layer.strides[1:], padding)


def _global_average_pooling(layer: layers.GlobalAveragePooling3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    return _one_vector(layer, tf.reduce_mean(x, axis=(0, 1, 2)))


def _global_max_pooling(layer: layers.GlobalMaxPooling3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    return _one_vector(layer, tf.reduce_max(x, axis=(0, 1, 2)))


def _one_vector(layer: Any, pooled: tf.Tensor) -> tf.Tensor:
    return tf.reshape(pooled, (1, 1, 1, -1) if layer.keepdims else (1, -1))


# Pointwise layers.


def _clip_normalization(layer: ClipNormalization, x: tf.Tensor) -> tf.Tensor:
    mean, std = np.asarray(layer.mean), np.asarray(layer.std)
    return _scaled(x, 1.0 / (255.0 * std), -mean / std)


def _batch_normalization(
    layer: layers.BatchNormalization, x: tf.Tensor | WaitingConvolution
) -> tf.Tensor:
    """Multiplies and adds, or is folded into the convolution that comes before."""
    if isinstance(x, WaitingConvolution):
        _check_normalizes_channels(layer, 5)
        return x.normalized_by(layer)
    _check_normalizes_channels(layer, _keras_rank(x))
    scale, offset = scale_and_offset(layer)
    if x.shape.rank != 4:
        return x * scale.astype(np.float32) + offset.astype(np.float32)
    return _scaled(x, scale, offset)


def _check_normalizes_channels(layer: layers.BatchNormalization, rank: int) -> None:
    if layer.axis not in (-1, rank - 1):
        raise _refusal(layer, f"normalises axis {layer.axis}", "normalise the channels: axis=-1")


def _scaled(x: tf.Tensor, scale: np.ndarray, offset: np.ndarray) -> tf.Tensor:
    """By a depthwise 1x1 convolution, which takes up a ReLU: half the time of two operations.

    And each channel's factor has a scale of its own in 8 bits, where a product has one for all.
    """
    depthwise = scale.astype(np.float32).reshape((1, 1, -1, 1))
    y = tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "VALID")
    return y + offset.astype(np.float32)


def _clip_batch_normalization(
    layer: ClipBatchNormalization, x: tf.Tensor | WaitingConvolution
) -> tf.Tensor:
    y = _batch_normalization(layer, x)
    return tf.nn.relu(y) if layer.activation == "relu" else y


def _relu(layer: layers.ReLU, x: tf.Tensor) -> tf.Tensor:
    forms = {None: tf.nn.relu, 6.0: tf.nn.relu6}
    limit = None if layer.max_value is None else float(layer.max_value)
    if layer.negative_slope or layer.threshold or limit not in forms:
        raise _refusal(
            layer,
            f"has max_value={layer.max_value}, negative_slope={layer.negative_slope}, "
            f"threshold={layer.threshold}",
            "use a plain ReLU, or max_value=6",
        )
    return forms[limit](x)


_ACTIVATIONS: dict[Any, Callable[[tf.Tensor], tf.Tensor]] = {
    keras.activations.linear: tf.identity,
    keras.activations.relu: tf.nn.relu,
    keras.activations.relu6: tf.nn.relu6,
    keras.activations.sigmoid: tf.sigmoid,
    keras.activations.softmax: tf.nn.softmax,
    keras.activations.tanh: tf.tanh,
}


def _activation(layer: Any, x: tf.Tensor) -> tf.Tensor:
    """The layer's own activation: that of an Activation, a Conv3D or a Dense."""
    if layer.activation not in _ACTIVATIONS:
        names = ", ".join(sorted(function.__name__ for function in _ACTIVATIONS))
        raise _refusal(layer, f"has the activation {layer.activation}", f"use one of {names}")
    return _ACTIVATIONS[layer.activation](x)


def _unchanged(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return x


# Layers that join, pad or reshape.


def _zero_padding(layer: layers.ZeroPadding3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    return tf.pad(x, (*layer.padding, (0, 0)))


def _concatenate(layer: layers.Concatenate, tensors: list[tf.Tensor]) -> tf.Tensor:
    rank = _keras_rank(tensors[0])
    axis = layer.axis % rank
    if axis == 0:
        raise _refusal(layer, "concatenates the batch axis", "concatenate another axis")
    return concatenate(tensors, axis - 1 if rank == 5 else axis)


def _add(layer: layers.Add, tensors: list[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(tf.add, tensors)


def _flatten(layer: layers.Flatten, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    return tf.reshape(x, (1, -1))


def _dense(layer: layers.Dense, x: tf.Tensor) -> tf.Tensor:
    if _keras_rank(x) != 2:
        raise _refusal(
            layer,
            "is applied to a clip, not to a vector",
            "use a Conv3D with kernel_size=1, which is the same",
        )
    y = tf.matmul(x, constant(layer.kernel))
    return _activation(layer, y + constant(layer.bias) if layer.use_bias else y)


def _keras_rank(x: tf.Tensor) -> int:
    """The rank of the same tensor in Keras: a folded clip has lost its batch axis."""
    return x.shape.rank + 1 if x.shape.rank == 4 else x.shape.rank


# Channels by what all channels say.


def _channel_correlation(layer: SpatioTemporalChannelCorrelation, x: tf.Tensor) -> tf.Tensor:
    frames = tf.reduce_mean(x, axis=(1, 2))
    temporal = _channel_scale(layer, "temporal", tf.reduce_mean(frames, axis=0, keepdims=True))
    if layer.bins is not None:
        frames = tf.matmul(layer.bins, frames)
    spatial = _channel_scale(layer, "spatial", tf.reshape(frames, (1, -1)))
    if layer.combine == "maximum":
        return tf.maximum(x * temporal, x * spatial)
    scale = temporal + spatial
    return x * (scale * 0.5 if layer.combine == "average" else scale)


def _channel_scale(
    layer: SpatioTemporalChannelCorrelation, branch: str, means: tf.Tensor
) -> tf.Tensor:
    """The two dense layers of a branch."""

    def dense(name: str, x: tf.Tensor) -> tf.Tensor:
        y = tf.matmul(x, constant(getattr(layer, f"{branch}_{name}_kernel")))
        return y + constant(getattr(layer, f"{branch}_{name}_bias")) if layer.use_bias else y

    scale = tf.sigmoid(dense("excite", _activation(layer, dense("squeeze", means))))
    return tf.reshape(scale, (1, 1, 1, -1))


_RULES: dict[type[Any], Callable[..., tf.Tensor]] = {
    ClipBatchNormalization: _clip_batch_normalization,
    ClipMaxPooling3D: _clip_max_pooling,
    ClipNormalization: _clip_normalization,
    SpatioTemporalChannelCorrelation: _channel_correlation,
    layers.Activation: _activation,
    layers.Add: _add,
    layers.AveragePooling3D: _average_pooling,
    layers.BatchNormalization: _batch_normalization,
    layers.Concatenate: _concatenate,
    layers.Dense: _dense,
    layers.Dropout: _unchanged,
    layers.Flatten: _flatten,
    layers.GlobalAveragePooling3D: _global_average_pooling,
    layers.GlobalMaxPooling3D: _global_max_pooling,
    layers.MaxPooling3D: _max_pooling,
    layers.ReLU: _relu,
    layers.ZeroPadding3D: _zero_padding,
}
