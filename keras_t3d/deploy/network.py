"""The model to export: checks, its weights as constants, and its computation in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_t3d.deploy.errors import ExportError, UnsupportedLayerError
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models import VideoClassifier
from keras_t3d.models.embedding import embedding_of
from keras_t3d.private_interfaces import computing_in_float32


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


def outputs_and_embedding(model: VideoClassifier) -> keras.Model:
    """Returns a model with both outputs.

    Raises:
        InvalidArgumentError: if the model has no embedding layer.
    """
    return keras.Model(model.inputs[0], [model.outputs[0], embedding_of(model)])


def constant(variable: Any) -> np.ndarray:
    """Returns a variable's value, even while a graph is being traced."""
    with tf.init_scope():
        return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def constant_of_one_clip(layer: Any, value: Any) -> np.ndarray:
    """Returns a constant that a layer combines with clips, without the batch axis.

    Raises:
        UnsupportedLayerError: if it has other values for each clip of a batch.
    """
    values = constant(value)
    if values.ndim != 5:
        return values
    if len(values) > 1:
        raise UnsupportedLayerError(
            layer,
            f"reads a constant of shape {values.shape}, with one value per clip of a batch",
            "use the same value for all clips: a size of 1 on the first axis",
        )
    return values[0]


def kernel_of(layer: Any) -> np.ndarray:
    """Returns a layer's kernel, with the product of its LoRA matrices if it has any."""
    with tf.init_scope():  # around the property too, which computes the product
        return np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float32)


def in_float32(model: keras.Model) -> Callable[..., Any]:
    """Returns a function with the same weights that computes in float32, as artifacts do.

    Under mixed precision a model rounds at every layer, and in float16 it has no CPU kernels.
    """

    def call(clips: Any, training: bool = False) -> Any:
        with computing_in_float32(model):
            return model(clips, training=training)

    return call
