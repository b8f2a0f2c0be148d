"""Loads TensorFlow, and the model that a command line names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keras_t3d.artifact_files import check_model_exists
from keras_t3d.cli.output import print_note
from keras_t3d.hardware import describe_processors
from keras_t3d.inference.artifact_formats import artifact_format

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
    """Imports TensorFlow, without its messages, if a model that exists needs it."""
    check_model_exists(model)
    artifact = artifact_format(model)
    if artifact is None or artifact.framework == "tensorflow":
        import_tensorflow()


def predictor(model: str) -> Predictor:
    from keras_t3d.inference import load_predictor

    prepare(model)
    loaded = load_predictor(model)
    print_processors(model)
    return loaded


def print_processors(model: str | None = None) -> None:
    """Prints what computes a model, or Keras's backend without one; warns of an unused GPU."""
    print_note(describe_processors(_framework(model)))


def _framework(model: str | None) -> str:
    artifact = None if model is None else artifact_format(model)
    if artifact is not None:
        return artifact.framework
    import keras

    backend: str = keras.backend.backend()
    return backend
