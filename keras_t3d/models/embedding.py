"""Finds the features that a classifying layer reads."""

from __future__ import annotations

from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.options import EMBEDDING


def embedding_of(model: keras.Model) -> Any:
    """Returns the Keras tensor of a functional model's embedding.

    Raises:
        InvalidArgumentError: if it has no layer of this name.
    """
    if EMBEDDING not in {layer.name for layer in model.layers}:
        raise InvalidArgumentError(
            f"`model` must have a layer with the name {EMBEDDING!r} before its classification "
            "layer, whose output is the embedding, for example "
            f"keras.layers.GlobalAveragePooling3D(name={EMBEDDING!r}). "
            f"Received: a model with layers {[layer.name for layer in model.layers]}",
            argument="model",
        )
    return model.get_layer(EMBEDDING).output
