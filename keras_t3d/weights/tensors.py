"""Tensors of PyTorch's networks as layers, with our names and axes of weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

_STATISTICS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_KERNEL = {"weight": "kernel", "bias": "bias"}
# (O, I, T, H, W) to (T, H, W, I, O), (O, I, H, W) to (H, W, I, O), (O, I) to (I, O).
_KERAS_AXES = {5: (2, 3, 4, 1, 0), 4: (2, 3, 1, 0), 2: (1, 0)}


def group_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Returns the tensors by layer and weight, without batch counters.

    The weights have our names ("kernel", "gamma") and axes in Keras's order.
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        layer, _, weight = name.rpartition(".")
        if weight != "num_batches_tracked":
            layers.setdefault(layer, {})[weight] = tensor
    return {layer: _named_as_ours(weights) for layer, weights in layers.items()}


def _named_as_ours(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = _STATISTICS if "running_mean" in weights else _KERNEL
    return {names.get(key, key): to_keras_axes(np.asarray(t)) for key, t in weights.items()}


def to_keras_axes(tensor: np.ndarray) -> np.ndarray:
    """Returns a PyTorch tensor with its axes in Keras's order."""
    return tensor.transpose(_KERAS_AXES.get(tensor.ndim, range(tensor.ndim)))


def tensor_name(layer: str, weight: str, is_normalization: bool) -> str:
    """Returns the name that a weight of ours has in PyTorch, for example "fc.weight"."""
    names = _STATISTICS if is_normalization else _KERNEL
    return f"{layer}.{next((key for key, ours in names.items() if ours == weight), weight)}"


def list_some(names: Iterable[str], most: int = 4) -> str:
    """Returns the first names, and how many more there are."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
