"""Loads models from memory or disk."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from keras_t3d.artifact_files import model_file
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.predictor import Predictor


def load_predictor(model: Any) -> Predictor:
    """Returns a predictor for a model in memory or on disk.

    Args:
        model: VideoClassifier, Predictor, or path of a `.keras` file, a SavedModel folder, a
            `.tflite` file or a run directory, whose best model is taken.

    Returns:
        A Predictor.

    Raises:
        InvalidArgumentError: if it is not a model of this package.

    Example:

    ```python
    predictor = keras_t3d.inference.load_predictor("best.keras")
    predictor.class_names
    ```
    """
    if hasattr(model, "probabilities"):
        return model
    if not isinstance(model, (str, os.PathLike)):
        from keras_t3d.inference.keras_predictor import KerasPredictor
        from keras_t3d.models.video_classifier import VideoClassifier

        if not isinstance(model, VideoClassifier):
            raise InvalidArgumentError(
                "`model` must be a VideoClassifier, a Predictor or the path of a model, for "
                f"example 'runs/a/best.keras'. Received: {type(model).__name__}",
                argument="model",
            )
        return KerasPredictor(model)
    path = pathlib.Path(model_file(model))
    if not path.exists():
        raise InvalidArgumentError(f"No such model: {path}", argument="model")
    if path.is_dir():
        from keras_t3d.inference.saved_model_predictor import SavedModelPredictor

        return SavedModelPredictor(path)
    if path.suffix == ".tflite":
        from keras_t3d.inference.litert_predictor import LiteRTPredictor

        return LiteRTPredictor(path)
    from keras_t3d.inference.keras_predictor import KerasPredictor
    from keras_t3d.models.load import load_keras_model

    return KerasPredictor(load_keras_model(path))
