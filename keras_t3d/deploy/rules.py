"""Finds what computes a layer: lowering and folding have a table of rules each.

Models and composite layers need no line in it: they are computed by computing their layers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_t3d.deploy.batch_normalization import computed
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn


def find_rule(
    layer: Any,
    rules: Mapping[type[Any], Callable[..., Any]],
    apply: Callable[..., Any],
    joining: Callable[[], Callable[[Sequence[Any]], Sequence[Any]]] | None = None,
) -> Callable[..., Any] | None:
    """Returns a function from a layer's inputs to its output, or None if there is no rule.

    The exact class counts, and for a composite that it has no `call` of its own, as a
    subclass may compute otherwise.

    Args:
        layer: Keras layer or operation.
        rules: by class of layer, functions `rule(layer, *inputs)`.
        apply: `apply(layer, *inputs)` computes one of the layers that the layer is made of.
        joining: gives for a composite a function that may join what a part of it concatenates
            anyway. Defaults to none.
    """
    rule = rules.get(type(layer))
    if rule is not None:
        if isinstance(layer, keras.layers.BatchNormalization):  # a convolution may wait for it
            return functools.partial(rule, layer)
        return lambda *inputs: rule(layer, *computed(inputs))
    if is_functional(layer):
        return lambda *inputs: layer._run_through_graph(
            inputs, operation_fn=lambda inner: functools.partial(apply, inner)
        )
    if type(layer) is keras.Sequential:
        return lambda x: functools.reduce(
            lambda x, inner: apply(inner, x), layer.layers, computed(x)
        )
    if isinstance(layer, CompositeLayer) and type(layer).call is CompositeLayer.call:
        join = joining() if joining is not None else tuple

        def run(part: Any, layers: Sequence[Any], inputs: Sequence[Any]) -> Any:
            return part(apply, *(join(inputs) if isinstance(part, InTurn) else inputs))

        return lambda clips: layer.compose(run, computed(clips))
    return None


def is_functional(layer: Any) -> bool:
    """Whether the layer is a functional model."""
    return hasattr(layer, "_run_through_graph")
