"""Recognizes the network that a checkpoint is of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keras_t3d.models.registry import Configuration, configurations
from keras_t3d.models.weight_names import rename_layers


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
