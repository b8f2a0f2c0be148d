"""What a network has learnt, as float32 constants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def constant(variable: Any) -> np.ndarray:
    """Returns a variable's value, even while a graph is being traced."""
    with tf.init_scope():
        return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a network with the same weights that computes in float32, as an artifact does.

    A model under mixed precision rounds at every layer, and in float16 it has no
    CPU kernels at all. One in float32 is returned as it is.
    """

    def layer_in_float32(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    # Its graph alone: some versions of Keras clone a subclass by calling its constructor.
    graph = keras.Model(model.input, model.output)
    twin = keras.models.clone_model(graph, clone_function=layer_in_float32)
    twin.set_weights(graph.get_weights())
    return twin
