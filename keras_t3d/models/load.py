"""Loads trained models from disk."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import keras

from keras_t3d.artifact_files import is_on_hub, model_file
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.hub.repository import hub_errors, import_hub, repository_of
from keras_t3d.models.video_classifier import VideoClassifier


def load_keras_model(path: str | os.PathLike[str]) -> VideoClassifier:
    """Loads a `.keras` file of this package, or a model of the Hugging Face Hub.

    Args:
        path: path of the file, or of a run directory, whose best model is taken; or an address
            such as `hf://user/name`.

    Returns:
        The VideoClassifier.

    Raises:
        InvalidArgumentError: if there is no such file, or it holds no VideoClassifier.
        HubError: if the Hub has no such model, or cannot be reached.

    Example:

    ```python
    model = load_keras_model("best.keras")
    model.clip_spec
    ```
    """
    if is_on_hub(path):
        return _load_from_hub(str(path))
    path = model_file(path)
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
    return _checked(model, path)


def _load_from_hub(address: str) -> VideoClassifier:
    repository_of(address)
    import_hub()
    with hub_errors(address):
        model = keras.saving.load_model(address)
    return _checked(model, address)


def _checked(model: Any, path: str) -> VideoClassifier:
    if not isinstance(model, VideoClassifier):
        raise InvalidArgumentError(
            f"Expected a model that this package saved. Received: {path} with a "
            f"{type(model).__name__}, without ClipSpec and class names"
        )
    return model
