"""Models of the features inside a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.options import EMBEDDING


def feature_model(network: Any, layer_names: Sequence[str]) -> keras.Model:
    """Returns a model from clips to outputs of stages or layers; see VideoClassifier's method."""
    layers = {layer.name: layer for layer in network.layers}
    names = [network.stages.get(name, name) for name in layer_names or (EMBEDDING,)]
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise InvalidArgumentError(
            f"`layer_names` must be stages or layers of {network.name}. Its stages are "
            f"{list(network.stages)}. Received: {unknown}",
            argument="layer_names",
        )
    outputs = [layers[name].output for name in names]
    return keras.Model(network.inputs[0], outputs[0] if len(outputs) == 1 else outputs)
