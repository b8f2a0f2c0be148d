"""The model to export: checks, its weights as constants, and a copy that computes in float32."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_t3d.deploy.errors import ExportError
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import VideoClassifier


def check_exportable(model: Any) -> None:
    """Raises an error unless the model is a classifier of this package, under TensorFlow.

    Raises:
        InvalidArgumentError: if `model` is not a VideoClassifier that classifies.
        ExportError: under another backend than TensorFlow, whose converters the exports use.
    """
    if not isinstance(model, VideoClassifier):
        raise InvalidArgumentError(
            "`model` must be a `keras_t3d.models.VideoClassifier`, which carries its ClipSpec and "
            "class names, for example "
            "keras_t3d.models.create('t3d_121', input_shape=(16, 112, 112, 3), num_classes=101) "
            f"or a file that `keras.saving.load_model` reads. Received: {type(model)}",
            argument="model",
        )
    model.check_classifies()
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "Exports need Keras's TensorFlow backend: save the model, set "
            "KERAS_BACKEND=tensorflow, load and export it there. "
            f"Received: the {keras.backend.backend()} backend"
        )


def constant(variable: Any) -> np.ndarray:
    """Returns a variable's value, even while a graph is being traced."""
    with tf.init_scope():
        return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a model with the same weights that computes in float32, as artifacts do.

    Under mixed precision a model rounds at every layer, and in float16 it has no CPU kernels.
    A float32 model is returned as it is.
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
