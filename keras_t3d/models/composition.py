"""Computes models and composite layers from the layers that they are made of.

Lowering, folding and streaming run the same layers with operations of their own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn
from keras_t3d.private_interfaces import is_functional, run_through_graph

Join = Callable[[Sequence[Any]], Sequence[Any]]


def composition(
    layer: Any, apply: Callable[..., Any], make_join: Callable[[], Join] = lambda: tuple
) -> Callable[..., Any] | None:
    """Returns a function that computes a layer from those inside, or None if it has none.

    Subclasses with a `call` of their own may compute something else, and have none.

    Args:
        layer: Keras layer or operation.
        apply: `apply(layer, *inputs)` computes a layer of a model or composite layer.
        make_join: returns, for one composite layer, a function that may concatenate the inputs
            that a part of it would concatenate.
    """
    if is_functional(layer):
        return lambda *inputs: run_through_graph(
            layer, inputs, lambda inner: functools.partial(apply, inner)
        )
    if isinstance(layer, keras.Sequential) and type(layer).call is keras.Sequential.call:
        return lambda x: functools.reduce(lambda x, inner: apply(inner, x), layer.layers, x)
    if isinstance(layer, CompositeLayer) and type(layer).call is CompositeLayer.call:
        join = make_join()

        def run(part: Any, layers: Sequence[Any], inputs: Sequence[Any]) -> Any:
            return part(apply, *(join(inputs) if isinstance(part, InTurn) else inputs))

        return lambda clips: layer.compose(run, clips)
    return None


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
        keras.ops.is_tensor(part) or hasattr(part, "__tf_tensor__")
        for part in keras.tree.flatten(argument)
    )
