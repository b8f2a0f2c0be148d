"""Rewrites a 3D network, for one clip, with 2-D operations only.

LiteRT has no 3-D pooling, and its 3-D convolution is slow. So the batch axis,
always 1 here, is dropped, and time takes its place: what Keras holds as
(1, T, H, W, C) is a (T, H, W, C) tensor here, to which a 2-D operation applies
frame by frame. What Keras holds as (1, C) stays as it is. The rewrite is exact:
it changes only the order in which floats are added.

One small function a Keras layer class, in the table `_RULES` at the end; models and composite
layers are computed by their layers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.batch_normalization import WaitingConvolution, computed, scale_and_offset
from keras_t3d.deploy.rules import find_rule
from keras_t3d.deploy.weights import constant
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipConv3D,
    ClipMaxPooling3D,
    ClipNormalization,
    SpatioTemporalChannelCorrelation,
)
from keras_t3d.layers.temporal_windows import TemporalWindows


def lower(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that computes with 2-D operations what the model computes for one clip.

    Weights become constants, and everything is computed in float32, whatever the
    model's dtype policy. Layers act as in inference.

    Args:
        model: functional `keras.Model` with one input of shape
            `(batch, frames, height, width, channels)`.

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
    return lambda clip: computed(_apply(model, tf.convert_to_tensor(clip, tf.float32)))


def _apply(layer: Any, *tensors: Any, **options: Any) -> Any:
    """Runs one layer by its rule."""
    set_options = {name: value for name, value in options.items() if value not in (None, False)}
    if set_options:
        raise _refusal(layer, f"is called with {set_options}", "call it without, as for inference")
    rule = find_rule(layer, _RULES, _apply)
    if rule is None:
        known = ", ".join(sorted(known.__name__ for known in _RULES))
        remedy = f"build the network, its models and composite layers from {known}, or add a rule"
        raise _refusal(layer, "has no 2-D form", remedy)
    return rule(*tensors)


def _refusal(layer: Any, problem: str, remedy: str) -> ValueError:
    return ValueError(
        f"This network cannot be rewritten with the 2-D operations that LiteRT runs: its layer "
        f"{layer.name!r} {problem}. To export it, {remedy} (keras_t3d/deploy/lowering.py). "
        f"Received: a layer of class {type(layer).__name__}"
    )


# Convolution.


def _clip_conv3d(layer: ClipConv3D, x: tf.Tensor) -> WaitingConvolution:
    return WaitingConvolution(layer, x, functools.partial(_convolve, padding="even"))


def _conv3d(layer: layers.Conv3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    if tuple(layer.dilation_rate) != (1, 1, 1):
        raise _refusal(
            layer, f"is dilated (dilation_rate={layer.dilation_rate})", "use dilation_rate=1"
        )
    bias = constant(layer.bias) if layer.use_bias else None
    y = _convolve(x, constant(layer.kernel), bias, layer.strides, layer.padding)
    return _activation(layer, y)


def _convolve(
    x: tf.Tensor,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """Adds up one 2-D convolution a temporal tap, each only where its tap meets real frames.

    ```
    kernel of depth 3, 4 frames      input   0 1 2 3
    output frame t reads frames      tap 0     0 1 2    -> frames 1..3 of the output
    t - 1, t, t + 1                  tap 1   0 1 2 3    -> frames 0..3
                                     tap 2   1 2 3      -> frames 0..2
    ```

    A tap that meets zero padding only is left out, and its weights with it: a
    depth of 3 over one frame is its middle slice. On all shapes that were timed,
    16x112x112x3 to 1x3x3x128, this was as fast as or faster than one convolution
    over the shifted frames, concatenated on channels, and than one that makes all
    taps' outputs at once; over few frames or with deep kernels, up to twice as
    fast: nothing is multiplied by padding, and the weights of a tap fit the cache.
    So it was for groups, against frames joined group by group. Groups follow from the
    kernel, as in `tf.nn.conv2d`. Padding is `"valid"`, Keras's `"same"`, or `"even"`.
    """
    windows = TemporalWindows(x.shape[0], kernel.shape[0], strides[0], padding)
    if padding == "even" and max(strides[1:]) > 1:
        evenly = [((size - 1) // 2, size // 2) for size in kernel.shape[1:3]]
        x = tf.pad(x, [(0, 0), *evenly, (0, 0)]) if max(kernel.shape[1:3]) > 1 else x
        padding = "valid"
    padding_2d = "VALID" if padding == "valid" else "SAME"
    y = None
    # The tap that makes most frames comes first: it needs no padding and takes the bias.
    for tap in windows.by_reach():
        frames, missing = windows.inputs(tap), windows.missing(tap)
        partial = tf.nn.conv2d(_frames(x, frames), kernel[tap], strides[1:], padding_2d)
        if y is None and bias is not None:
            partial += bias
        if any(missing):
            partial = tf.pad(partial, (missing, (0, 0), (0, 0), (0, 0)))
        y = partial if y is None else y + partial
    return y


def _frames(x: tf.Tensor, frames: range) -> tf.Tensor:
    """These frames. LiteRT gathers whole frames 5 to 8 times as fast as it slices strides."""
    if len(frames) == x.shape[0]:
        return x
    if frames.step == 1:
        return x[frames.start : frames.stop]
    return tf.gather(x, np.asarray(frames, np.int32))


def _check_channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise _refusal(
            layer, f"has data_format={layer.data_format!r}", "use data_format='channels_last'"
        )


# Pooling: 2-D for space, then slices for time.


def _clip_max_pooling(layer: ClipMaxPooling3D, x: tf.Tensor) -> tf.Tensor:
    evenly = [(size // 2, size // 2) for size in layer.pool_size[1:]]
    x = tf.pad(x, [(0, 0), *evenly, (0, 0)], constant_values=tf.float32.min)
    x = _pool_space(tf.nn.max_pool2d, layer, x, "VALID")
    return _max_pool_time(layer, x, "even")


def _max_pooling(layer: layers.MaxPooling3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    x = _pool_space(tf.nn.max_pool2d, layer, x, layer.padding.upper())
    return _max_pool_time(layer, x, layer.padding)


def _max_pool_time(layer: Any, x: tf.Tensor, padding: str) -> tf.Tensor:
    windows = TemporalWindows(x.shape[0], layer.pool_size[0], layer.strides[0], padding)
    after = (windows.count - 1) * windows.stride + layer.pool_size[0] - x.shape[0] - windows.before
    if windows.before or after > 0:
        missing = ((windows.before, max(after, 0)), (0, 0), (0, 0), (0, 0))
        x = tf.pad(x, missing, constant_values=tf.float32.min)
    return functools.reduce(tf.maximum, _time_slices(layer, x, windows.count))


def _average_pooling(layer: layers.AveragePooling3D, x: tf.Tensor) -> tf.Tensor:
    _check_channels_last(layer)
    if layer.padding != "valid":
        raise _refusal(layer, f"has padding={layer.padding!r}", "use padding='valid'")
    x = _pool_space(tf.nn.avg_pool2d, layer, x, "VALID")
    count = TemporalWindows(x.shape[0], layer.pool_size[0], layer.strides[0], "valid").count
    total = functools.reduce(tf.add, _time_slices(layer, x, count))
    return total if layer.pool_size[0] == 1 else total * (1.0 / layer.pool_size[0])


def _pool_space(
    pool2d: Callable[..., tf.Tensor], layer: Any, x: tf.Tensor, padding: str
) -> tf.Tensor:
    if tuple(layer.pool_size[1:]) == tuple(layer.strides[1:]) == (1, 1):
        return x
    return pool2d(x, layer.pool_size[1:], layer.strides[1:], padding)


def _time_slices(layer: Any, x: tf.Tensor, count: int) -> list[tf.Tensor]:
    """The pool's taps: the first frame of every window, the second of every window, ..."""
    stride = layer.strides[0]
    taps = range(layer.pool_size[0])
    return [_frames(x, range(tap, tap + count * stride, stride)) for tap in taps]


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
    return x * (1.0 / (255.0 * std)).astype(np.float32) + (-mean / std).astype(np.float32)


def _batch_normalization(layer: layers.BatchNormalization, x: tf.Tensor) -> tf.Tensor:
    """Multiplies and adds: after a convolution, in a form that the converter folds into it.

    Elsewhere a depthwise 1x1 convolution does both, and a ReLU, in one pass over the
    clip: half the time.
    """
    # The folded tensor lacks the batch axis, so that "last" is -1 or one more than its rank.
    if layer.axis not in (-1, _keras_rank(x) - 1):
        raise _refusal(layer, f"normalises axis {layer.axis}", "normalise the channels: axis=-1")
    scale, offset = (values.astype(np.float32) for values in scale_and_offset(layer))
    is_clip = x.shape.rank == 4
    if is_clip and not (tf.is_symbolic_tensor(x) and x.op.type == "Conv2D"):
        depthwise = scale.reshape((1, 1, -1, 1))
        return tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "VALID") + offset
    return x * scale + offset


def _clip_batch_normalization(
    layer: ClipBatchNormalization, x: tf.Tensor | WaitingConvolution
) -> tf.Tensor:
    if isinstance(x, WaitingConvolution):
        y = x.normalized_by(layer)
    else:
        y = _batch_normalization(layer, x)
    return tf.nn.relu(y) if layer.activation == "relu" else y


def _relu(layer: layers.ReLU, x: tf.Tensor) -> tf.Tensor:
    if layer.negative_slope or layer.threshold or layer.max_value is not None:
        raise _refusal(
            layer,
            f"has max_value={layer.max_value}, negative_slope={layer.negative_slope}, "
            f"threshold={layer.threshold}",
            "use a plain ReLU",
        )
    return tf.nn.relu(x)


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
    return tf.concat(tensors, axis - 1 if rank == 5 else axis)


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
    ClipConv3D: _clip_conv3d,
    ClipMaxPooling3D: _clip_max_pooling,
    ClipNormalization: _clip_normalization,
    SpatioTemporalChannelCorrelation: _channel_correlation,
    layers.Activation: _activation,
    layers.Add: _add,
    layers.AveragePooling3D: _average_pooling,
    layers.BatchNormalization: _batch_normalization,
    layers.Concatenate: _concatenate,
    layers.Conv3D: _conv3d,
    layers.Dense: _dense,
    layers.Dropout: _unchanged,
    layers.Flatten: _flatten,
    layers.GlobalAveragePooling3D: _global_average_pooling,
    layers.GlobalMaxPooling3D: _global_max_pooling,
    layers.MaxPooling3D: _max_pooling,
    layers.ReLU: _relu,
    layers.ZeroPadding3D: _zero_padding,
}
