"""Predicts with an exported SavedModel, through its signatures only."""

from __future__ import annotations

import gc
import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_t3d.artifact_files import newest_version, read_artifact
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.predictor import validate_clips


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
        extra = version / "assets.extra"
        try:
            self.class_names, self.clip_spec = read_artifact(
                lambda name: (extra / name).read_bytes()
            )
        except (FileNotFoundError, ValueError) as error:
            raise InvalidArgumentError(
                "The SavedModel has no ClipSpec: export it with "
                f"keras_t3d.deploy.export_saved_model. Received: {version} ({error})"
            ) from None
        # What TensorFlow loads refers to itself: the weights of earlier predictors wait for this.
        gc.collect()
        self._loaded = tf.saved_model.load(str(version))  # keeps the variables alive
        self._views = self._loaded.signatures["views"]

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        clips = validate_clips(clips, self.clip_spec)
        return self._views(clips=tf.constant(clips))["probabilities"].numpy()
