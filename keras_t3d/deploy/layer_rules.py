"""Finds the function that computes a layer, in the rule tables of lowering and folding.

Models and composite layers need no rule: they are computed from their layers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.deploy.convolution import PendingConvolution, computed
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn
from keras_t3d.private_interfaces import is_functional, run_through_graph


def in_order(
    layer: Any, inputs: Sequence[Any], options: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the tensors that a layer is called with, also by keyword, and its other arguments.

    Args:
        layer: Keras layer or operation.
        inputs: its positional arguments.
        options: its keyword arguments, such as `{"inputs": tensor, "training": False}`.
    """
    inputs, options = tuple(inputs), dict(options)
    for name in list(inspect.signature(layer.call).parameters)[len(inputs) :]:
        if not _is_of_tensors(options.get(name)):
            break
        inputs += (options.pop(name),)
    return inputs, options


def _is_of_tensors(argument: Any) -> bool:
    return any(
        isinstance(part, (PendingConvolution, tf.Tensor)) for part in keras.tree.flatten(argument)
    )


def find_rule(
    layer: Any,
    rules: Mapping[type[Any], Callable[..., Any]],
    apply: Callable[..., Any],
    make_join: Callable[[], Callable[[Sequence[Any]], Sequence[Any]]] | None = None,
) -> Callable[..., Any] | None:
    """Returns a function from a layer's inputs to its output, or None if there is no rule.

    Subclasses do not match, nor composite layers with a `call` of their own, as they may compute
    something else.

    Args:
        layer: Keras layer or operation.
        rules: functions `rule(layer, *inputs)` by class of layer.
        apply: `apply(layer, *inputs)` computes a layer of a model or composite layer.
        make_join: returns, for one composite layer, a function that may concatenate the inputs
            that a part of it would concatenate.
    """
    rule = rules.get(type(layer))
    if rule is not None:
        if isinstance(layer, keras.layers.BatchNormalization):  # folds into a pending convolution
            return functools.partial(rule, layer)
        return lambda *inputs: rule(layer, *computed(inputs))
    if is_functional(layer):
        return lambda *inputs: run_through_graph(
            layer, inputs, lambda inner: functools.partial(apply, inner)
        )
    if isinstance(layer, keras.Sequential) and type(layer).call is keras.Sequential.call:
        return lambda x: functools.reduce(
            lambda x, inner: apply(inner, x), layer.layers, computed(x)
        )
    if isinstance(layer, CompositeLayer) and type(layer).call is CompositeLayer.call:
        join = make_join() if make_join is not None else tuple

        def run(part: Any, layers: Sequence[Any], inputs: Sequence[Any]) -> Any:
            return part(apply, *(join(inputs) if isinstance(part, InTurn) else inputs))

        return lambda clips: layer.compose(run, computed(clips))
    return None
