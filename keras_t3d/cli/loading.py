"""Loads TensorFlow, and the model that a command line names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_t3d.inference.predictor import Predictor


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages, which none of its settings silences."""
    standard_error = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def prepare(model: str) -> None:
    """Imports TensorFlow, without its messages, if a model needs it."""
    if not model.endswith(".tflite"):
        import_tensorflow()


def predictor(model: str) -> Predictor:
    from keras_t3d.inference import load_predictor

    prepare(model)
    return load_predictor(model)
