"""Fills a network with the tensors of a checkpoint: each tensor in a weight, each weight filled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_t3d.models.weight_names import Layers, weights_by_layer
from keras_t3d.weights.tensors import list_some, tensor_name

_Key = tuple[str, str]  # path of a layer, name of a weight


@dataclasses.dataclass(frozen=True)
class MatchedWeights:
    """The weights of a network beside the tensors of a checkpoint.

    Args:
        weights: variables of the network by path of their layer and name.
        tensors: tensors by the same keys; those of unknown layers by the checkpoint's names.
        spellings: the checkpoint's names of layers by our paths.
    """

    weights: dict[_Key, Any]
    tensors: dict[_Key, np.ndarray]
    spellings: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The checkpoint's names of the tensors."""
        return tuple(self._spelling(key) for key in self.tensors)

    def assign(self) -> None:
        """Sets the weights; `problems` must have none."""
        for key, weight in self.weights.items():
            weight.assign(self.tensors[key])

    def problems(self) -> list[str]:
        """Returns a phrase for each kind of difference, with the first names."""
        weights, tensors = self.weights, self.tensors
        both = [key for key in weights if key in tensors]
        misshapen = [key for key in both if tensors[key].shape != tuple(weights[key].shape)]
        shaped = [key for key in both if key not in misshapen]
        found = {
            "weights have no tensor": [key for key in weights if key not in tensors],
            "tensors have no weight": [key for key in tensors if key not in weights],
            "tensors have another shape": misshapen,
            "tensors contain infinite values or NaN": [
                key for key in shaped if not np.isfinite(tensors[key]).all()
            ],
        }
        problems = []
        for problem, keys in found.items():
            named = [self._spelling(key) for key in keys]
            if keys is misshapen:
                shapes = [f"{tensors[key].shape} for {tuple(weights[key].shape)}" for key in keys]
                named = [" ".join(pair) for pair in zip(named, shapes, strict=True)]
            if keys:
                problems.append(f"{len(keys)} {problem} ({list_some(named, 3)})")
        return problems

    def _spelling(self, key: _Key) -> str:
        """Returns the name of a tensor in the checkpoint, or our path if its layer is missing."""
        path, name = key
        if path not in self.spellings:
            return f"{path}/{name}"
        is_normalization = (path, "moving_mean") in self.tensors or name in ("gamma", "beta")
        return tensor_name(self.spellings[path], name, is_normalization)


def match_weights(
    model: Any,
    layers: Layers,
    names: Mapping[str, str],
    unplaced: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> MatchedWeights:
    """Returns the weights of a network beside the tensors of a checkpoint.

    Args:
        model: the network.
        layers: tensors by the checkpoint's names of their layers, then by our names of weights,
            see `group_tensors`.
        names: the checkpoint's names of layers by our paths, see `place_layers`.
        unplaced: the checkpoint's names of layers without a counterpart.
        left_out: our paths of layers that keep their weights, such as `"logits"`.
    """
    placed = {path: layers[layer] for path, layer in names.items()}
    unknown = {layer: layers[layer] for layer in unplaced}
    return MatchedWeights(
        _flat(weights_by_layer(model), left_out),
        {**_flat(placed, left_out), **_flat(unknown, ())},
        {**names, **{layer: layer for layer in unplaced}},
    )


def _flat(layers: Layers, left_out: Sequence[str]) -> dict[_Key, Any]:
    return {
        (path, name): value
        for path, weights in layers.items()
        if path not in left_out
        for name, value in weights.items()
    }
