"""Finds the predictor for whatever the user has."""

from __future__ import annotations

import os
import pathlib
import zipfile
from typing import Any

from keras_t3d.inference.predictor import Predictor


def load_predictor(model: Any) -> Predictor:
    """Returns a predictor for a model in memory or on disk.

    Args:
        model: a VideoClassifier, a Predictor, or a path: a `.keras` file, the
            folder of a SavedModel or a `.tflite` file.

    Returns:
        A Predictor.

    Raises:
        ValueError: if the path holds no model of this package.

    Example:

    ```python
    predictor = load_predictor("runs/a/best.keras")
    predictor.probabilities(clips)  # (n, classes)
    ```
    """
    if hasattr(model, "probabilities"):
        return model
    if not isinstance(model, (str, os.PathLike)):
        from keras_t3d.inference.keras_predictor import KerasPredictor
        from keras_t3d.models.video_classifier import VideoClassifier

        if not isinstance(model, VideoClassifier):
            raise ValueError(
                "Expected a VideoClassifier, a Predictor or the path of a model, for example "
                f"'runs/a/best.keras'. Received: {type(model).__name__}"
            )
        return KerasPredictor(model)
    path = pathlib.Path(model)
    if not path.exists():
        raise ValueError(f"No such model: {path}")
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

    Returns:
        The VideoClassifier.

    Raises:
        ValueError: if the file does not exist, is none, or holds another model.
    """
    import keras

    from keras_t3d.models.video_classifier import VideoClassifier

    path = os.fspath(path)
    expected = "Expected a .keras file that this package saved, for example runs/a/best.keras."
    if not os.path.isfile(path):
        raise ValueError(f"No such file. {expected} Received: {path}")
    with open(path, "rb"):  # that it may not be read is not that it is no model
        pass
    if not path.endswith(".keras") or not zipfile.is_zipfile(path):
        raise ValueError(f"Not a model file. {expected} Received: {path}")
    try:
        model = keras.saving.load_model(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        first_line = str(error).strip().splitlines()[0][:200]
        raise ValueError(
            f"Keras cannot load it ({first_line}). {expected} Received: {path}"
        ) from None
    if not isinstance(model, VideoClassifier):
        raise ValueError(
            f"The file holds a {type(model).__name__}, which knows no clips or classes. {expected} "
            f"Received: {path}"
        )
    return model
