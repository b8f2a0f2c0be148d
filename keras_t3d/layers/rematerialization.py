"""Runs a part of a network keeping for the gradient no more than what it reads.

A composite layer says in `compose(run, clips)` what it computes, part by part, and leaves to
`run(part, layers, inputs)` how: with gradient rematerialisation or without here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from keras import ops

from keras_t3d.layers.operations import rematerialize

# From `apply`, which applies one layer to clips, and input tensors to an output tensor.
Part = Callable[..., Any]


class RecomputedLayer(Protocol):
    """A layer that can compute from given weights, without assigning anything."""

    def __call__(self, clips: Any, training: bool | None = None) -> Any:
        """As any Keras layer."""

    def tensors(self) -> list[Any]:
        """The weights that it trains, as tensors."""

    def compute(self, clips: Any, *weights: Any) -> tuple[Any, ...]:
        """Its output in training, followed by the statistics that `average` wants."""

    averages: int  # how many statistics there are

    def average(self, *statistics: Any) -> None:
        """Moves its moving averages; called where there are statistics."""


def run(
    part: Part,
    layers: Sequence[RecomputedLayer],
    inputs: Sequence[Any],
    training: bool | None,
    rematerialized: bool,
) -> Any:
    """Computes a part of a network.

    Rematerialised in training, all that lies between the inputs and the output is computed
    a second time for the gradient, instead of being kept. In a graph, what nothing reads then
    is not run again: let the part end in its costliest convolution.

    Args:
        part: `part(apply, *inputs)` gives the output; it applies layers by `apply(layer, clips)`.
        layers: the layers that it applies and that have weights: RecomputedLayers, built.
            Without any there is nothing worth computing again.
        inputs: tensors.
        training: as in a layer's call.
        rematerialized: bool.

    Returns:
        The output.
    """
    if not (rematerialized and training and layers):
        return part(lambda layer, clips: layer(clips, training=training), *inputs)

    inputs = tuple(inputs)  # the caller's list may have grown when the gradient is computed
    own = [layer.tensors() for layer in layers]

    def computed(*tensors: Any) -> tuple[Any, ...]:
        rest = iter(tensors[len(inputs) :])
        weights = {
            id(layer): [next(rest) for _ in of_layer]
            for layer, of_layer in zip(layers, own, strict=True)
        }
        statistics: dict[int, list[Any]] = {}

        def apply(layer: Any, clips: Any) -> Any:
            clips, *statistics[id(layer)] = layer.compute(clips, *weights[id(layer)])
            return clips

        output = part(apply, *tensors[: len(inputs)])
        # Moving averages would move twice if they were assigned in here.
        return (output, *[value for layer in layers for value in statistics[id(layer)]])

    output, *statistics = rematerialize(computed)(*inputs, *itertools.chain(*own))
    rest = iter(statistics)
    for layer in layers:
        if layer.averages:
            layer.average(*[next(rest) for _ in range(layer.averages)])
    return output


class InTurn:
    """The part that concatenates its inputs on channels and applies the layers one by one."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = layers

    def __call__(self, apply: Callable[[Any, Any], Any], *inputs: Any) -> Any:
        clips = inputs[0] if len(inputs) == 1 else ops.concatenate(inputs, axis=-1)
        for layer in self.layers:
            clips = apply(layer, clips)
        return clips
