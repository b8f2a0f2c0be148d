"""Loads models from memory or disk."""

from __future__ import annotations

import os
import pathlib
import zipfile
from typing import Any

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.predictor import Predictor


def load_predictor(model: Any) -> Predictor:
    """Returns a predictor for a model in memory or on disk.

    Args:
        model: VideoClassifier, Predictor, or path of a `.keras` file, a SavedModel folder or a
            `.tflite` file.

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
    path = pathlib.Path(model)
    if not path.exists():
        raise InvalidArgumentError(f"No such model: {path}", argument="model")
    if path.is_dir():
        from keras_t3d.inference.saved_model_predictor import SavedModelPredictor

        return SavedModelPredictor(path)
    if path.suffix == ".tflite":
        from keras_t3d.inference.litert_predictor import LiteRTPredictor

        return LiteRTPredictor(path)
    from keras_t3d.inference.keras_predictor import KerasPredictor

    return KerasPredictor(load_keras_model(path))


def load_keras_model(path: str | os.PathLike[str]) -> Any:
    """Loads a `.keras` file of this package.

    Args:
        path: path of the file.

    Returns:
        The VideoClassifier.

    Raises:
        InvalidArgumentError: if there is no such file, or it holds no VideoClassifier.

    Example:

    ```python
    model = load_keras_model("best.keras")
    model.clip_spec
    ```
    """
    import keras

    from keras_t3d.models.video_classifier import VideoClassifier

    path = os.fspath(path)
    expected = "Expected a .keras file that this package saved, for example runs/a/best.keras."
    if not os.path.isfile(path):
        raise InvalidArgumentError(f"No such file. {expected} Received: {path}")
    with open(path, "rb"):  # raises a PermissionError, where zipfile would just return False
        pass
    if not path.endswith(".keras") or not zipfile.is_zipfile(path):
        raise InvalidArgumentError(f"Not a model file. {expected} Received: {path}")
    try:
        model = keras.saving.load_model(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        raise InvalidArgumentError(
            f"Keras cannot load the file ({first_line}). {expected} Received: {path}"
        ) from None
    if not isinstance(model, VideoClassifier):
        raise InvalidArgumentError(
            f"The file holds a {type(model).__name__}, without ClipSpec and class names. "
            f"{expected} Received: {path}"
        )
    return model
