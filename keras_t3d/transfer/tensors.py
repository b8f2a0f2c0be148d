"""Tensors of a PyTorch checkpoint as weights of our layers, and the network they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.registry import Configuration, configurations
from keras_t3d.models.weight_names import LayerNames, rename_layers

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


def place_layers(
    layers: Mapping[str, Mapping[str, np.ndarray]], layer_names: LayerNames
) -> tuple[dict[str, str], list[str]]:
    """Returns the layers by their path in our networks, and the layers that have none.

    Raises:
        InvalidArgumentError: if two layers have the same path.
    """
    paths, unknown = rename_layers(layers, layer_names)
    names: dict[str, str] = {}
    for name, path in paths.items():
        if path in names:
            raise InvalidArgumentError(
                "`checkpoint` must have one spelling of each layer. Received: "
                f"{names[path]!r} and {name!r}",
                argument="checkpoint",
            )
        names[path] = name
    return names, unknown


def recognize_network(layers: Mapping[str, Mapping[str, np.ndarray]]) -> str | None:
    """Returns the name of the network that the layers of a checkpoint look like, if any."""
    for configuration in configurations().values():
        if configuration.checkpoint is None:
            continue
        paths, unknown = rename_layers(layers, configuration.checkpoint.layer_names)
        if not unknown and _fits(configuration, {paths[name]: layers[name] for name in layers}):
            return configuration.name
    return None


def _fits(configuration: Configuration, layers: Mapping[str, Mapping[str, np.ndarray]]) -> bool:
    found = configuration.family.infer_options(layers)
    wanted = configuration.options
    optional = ("stage_convolutions",)  # absent where every convolution is 3D
    return all(wanted[name] == value for name, value in found.items()) and all(
        name in found or wanted.get(name) is None for name in optional
    )


def list_some(names: Iterable[str], most: int = 4) -> str:
    """Returns the first names, and how many more there are."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
