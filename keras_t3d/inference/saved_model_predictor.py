"""Predicts with an exported SavedModel, by its signatures alone."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_t3d.artifact_files import newest_version, read_artifact
from keras_t3d.inference.predictor import checked_clips


class SavedModelPredictor:
    """A Predictor over a SavedModel that `export_saved_model` wrote.

    Args:
        folder: a version's folder, such as `serving/t3d/1`, or the folder of
            versions, of which the newest is taken.

    Raises:
        ValueError: if the folder holds no such SavedModel.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        version = newest_version(pathlib.Path(folder))
        extra = version / "assets.extra"
        try:
            self.class_names, self.clip_spec = read_artifact(lambda n: (extra / n).read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(
                "The SavedModel does not say what clips it reads: export it with `keras-t3d export "
                f"saved-model MODEL OUT`. Received: {version} ({error})"
            ) from None
        self._loaded = tf.saved_model.load(str(version))  # keeps the variables alive
        self._views = self._loaded.signatures["views"]

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        clips = checked_clips(clips, self.clip_spec)
        return self._views(clips=tf.constant(clips))["probabilities"].numpy()
