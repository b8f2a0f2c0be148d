"""Rules of the lowering for arithmetic and for functions of `keras.ops`, in a model's graph.

A function that computes what a Keras layer does is lowered as that layer. Arithmetic also takes
numbers and arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.convolution import computed
from keras_t3d.deploy.network import constant_of_one_clip
from keras_t3d.private_interfaces import operation_name

_ARITHMETIC: dict[str, Callable[..., tf.Tensor]] = {
    "Add": tf.add,
    "Divide": tf.divide,
    "Maximum": tf.maximum,
    "Minimum": tf.minimum,
    "Multiply": tf.multiply,
    "Negative": tf.negative,
    "Subtract": tf.subtract,
    "TrueDivide": tf.divide,
}


def arithmetic(operation: Any) -> Callable[..., tf.Tensor] | None:
    """Returns the rule of an operation such as `x + y`, or of GELU; None for another one."""
    name = operation_name(operation) or ""
    function = _ARITHMETIC.get(name)
    if name == "Gelu":
        function = functools.partial(tf.nn.gelu, approximate=operation.approximate)
    if function is None:
        return None
    return lambda *operands: function(
        *(_operand(operation, operand) for operand in computed(operands))
    )


def _operand(operation: Any, operand: Any) -> tf.Tensor | np.ndarray:
    """Returns a tensor as it is, or a constant to be added to clips without a batch axis."""
    if isinstance(operand, tf.Tensor) and operand.shape.rank != 5:
        return tf.cast(operand, tf.float32)
    return constant_of_one_clip(operation, operand)


def equivalent_layer(operation: Any) -> layers.Layer | None:
    """Returns the layer that computes what a function of `keras.ops` does, or None."""
    make = _LAYERS.get(operation_name(operation) or "")
    return None if make is None else make(operation)


def _activation(name: str) -> Callable[[Any], layers.Layer]:
    return lambda operation: layers.Activation(name, name=operation.name)


def _global_pooling(cls: type[layers.Layer]) -> Callable[[Any], layers.Layer | None]:
    def make(operation: Any) -> layers.Layer | None:
        axes = operation.axis if isinstance(operation.axis, (tuple, list)) else ()
        has_initial = getattr(operation, "initial", None) is not None  # a maximum of it too
        if sorted(axis % 5 for axis in axes) != [1, 2, 3] or has_initial:
            return None
        return cls(keepdims=operation.keepdims, data_format="channels_last", name=operation.name)

    return make


def _pooling(cls: type[layers.Layer]) -> Callable[[Any], layers.Layer]:
    return lambda operation: cls(
        operation.pool_size,
        operation.strides,
        operation.padding,
        data_format=operation.data_format,
        name=operation.name,
    )


def _padding(operation: Any) -> layers.Layer | None:
    widths = [tuple(width) for width in operation.pad_width]
    if operation.mode != "constant" or len(widths) != 5 or widths[0] + widths[4] != (0, 0, 0, 0):
        return None
    return layers.ZeroPadding3D(widths[1:4], data_format="channels_last", name=operation.name)


def _cast(operation: Any) -> layers.Layer | None:
    """Changes nothing, as everything is computed in float32."""
    is_float = str(operation.dtype) in ("float16", "bfloat16", "float32", "float64")
    return layers.Identity(name=operation.name) if is_float else None


_LAYERS: dict[str, Callable[[Any], layers.Layer | None]] = {
    "AveragePool": _pooling(layers.AveragePooling3D),
    "Cast": _cast,
    "Concatenate": lambda operation: layers.Concatenate(operation.axis, name=operation.name),
    "Max": _global_pooling(layers.GlobalMaxPooling3D),
    "MaxPool": _pooling(layers.MaxPooling3D),
    "Mean": _global_pooling(layers.GlobalAveragePooling3D),
    "Pad": _padding,
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "Silu": _activation("silu"),
    "Softmax": lambda operation: layers.Softmax(operation.axis, name=operation.name),
    "Tanh": _activation("tanh"),
}
