"""Predicts with an exported SavedModel, through its signatures only."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.artifact_files import newest_version, read_artifact, read_stream
from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.predictor import Predictor, validate_clips
from keras_t3d.inference.saved_model_steps import SavedModelSteps
from keras_t3d.inference.saved_model_version import open_saved_model
from keras_t3d.inference.stream_predictor import StreamPredictor


def load_saved_model(folder: str | os.PathLike[str]) -> Predictor:
    """Returns the predictor of a SavedModel, of clips or of a stream."""
    version = newest_version(pathlib.Path(folder))
    class_names, clip_spec, stream = _read(version)
    if stream is None:
        return SavedModelPredictor(version)
    steps = SavedModelSteps(version)
    return StreamPredictor(steps, class_names, clip_spec, stream["frames_per_step"])


def _read(version: pathlib.Path) -> tuple[tuple[str, ...], ClipSpec, dict[str, Any] | None]:
    """Returns the class names, the ClipSpec and the description of a stream of a version."""

    def read(name: str) -> bytes:
        return (version / "assets.extra" / name).read_bytes()

    try:
        return *read_artifact(read), read_stream(read)
    except (FileNotFoundError, ValueError) as error:
        raise InvalidArgumentError(
            "The SavedModel has no ClipSpec: export it with "
            f"keras_t3d.deploy.export_saved_model. Received: {version} ({error})"
        ) from None


class SavedModelPredictor:
    """A Predictor for a SavedModel that `export_saved_model` wrote, safe from several threads.

    Args:
        folder: folder of one version, such as `serving/t3d/1`, or the folder of all versions,
            of which the newest is loaded.

    Raises:
        InvalidArgumentError: if the folder holds no SavedModel of this package.

    Example:

    ```python
    SavedModelPredictor("serving/t3d").class_names
    ```
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        version = newest_version(pathlib.Path(folder))
        self.class_names, self.clip_spec, _ = _read(version)
        self._loaded = open_saved_model(version)
        self._views = self._loaded.signatures["views"]

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        clips = validate_clips(clips, self.clip_spec)
        return self._views(clips=tf.constant(clips))["probabilities"].numpy()
