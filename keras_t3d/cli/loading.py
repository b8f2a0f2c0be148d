"""Loads the model that a command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_t3d.cli.tensorflow_import import import_tensorflow

if TYPE_CHECKING:
    from keras_t3d.inference.predictor import Predictor


def predictor(model: str) -> Predictor:
    from keras_t3d.inference import load_predictor

    if not model.endswith(".tflite"):
        import_tensorflow()
    return load_predictor(model)
