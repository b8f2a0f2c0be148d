"""Runs parts of composite layers, with or without gradient rematerialization.

A composite layer defines its parts in `compose(run, clips)`; `run(part, layers, inputs)` computes
one. With rematerialization, only the inputs of a part are kept for the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_t3d.layers.configuration import ConfiguredLayer
from keras_t3d.layers.operations.known_sizes import with_built_sizes
from keras_t3d.layers.operations.rematerialization import rematerialize


class RecomputedLayer(ConfiguredLayer):
    """A layer that computes its output from given weights, so that it can run in a part.

    A subclass defines `compute`. A layer with moving averages also has `average(*statistics)`,
    which updates them.
    """

    averages = 0  # number of statistics that `compute` returns

    def call(self, clips: Any, training: bool | None = None) -> Any:
        return self.compute(with_built_sizes(self, clips), *self.tensors())[0]

    def tensors(self) -> list[Any]:
        """Returns the weights as tensors, for `compute`."""
        # Cast too: under TensorFlow, `convert_to_tensor` leaves a Keras variable one.
        return [ops.cast(ops.convert_to_tensor(w), self.compute_dtype) for w in self.weights]

    def compute(self, clips: Any, *weights: Any) -> tuple[Any, ...]:
        """Computes the output, and the statistics for `average`; assigns nothing."""
        raise NotImplementedError(f"{type(self).__name__} must define `compute`")


def run(
    part: Callable[..., Any],
    layers: Sequence[Any],
    inputs: Sequence[Any],
    training: bool | None,
    rematerialized: bool,
) -> Any:
    """Computes a part of a network.

    If it is rematerialized in training, everything between inputs and output is computed again
    for the gradient instead of being kept. In a graph, a part's last convolution is not computed
    again, as no gradient reads its output: let the part end in its costliest one.

    Args:
        part: `part(apply, *inputs)` returns the output; it runs a layer by `apply(layer, clips)`.
        layers: the layers of the part that have weights, built: RecomputedLayers, or layers with
            the same methods. Without any, the part is never recomputed.
        inputs: tensors.
        training: as in a layer's call.
        rematerialized: whether to recompute the part for the gradient.

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
        # Assigned outside: this function runs twice, and averages must move once.
        return (output, *[value for layer in layers for value in statistics[id(layer)]])

    output, *statistics = rematerialize(computed)(*inputs, *itertools.chain(*own))
    rest = iter(statistics)
    for layer in layers:
        if layer.averages:
            layer.average(*[next(rest) for _ in range(layer.averages)])
    return output


class InTurn:
    """A part that concatenates its inputs on channels and applies layers in sequence."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = layers

    def __call__(self, apply: Callable[[Any, Any], Any], *inputs: Any) -> Any:
        clips = inputs[0] if len(inputs) == 1 else ops.concatenate(inputs, axis=-1)
        for layer in self.layers:
            clips = apply(layer, clips)
        return clips
