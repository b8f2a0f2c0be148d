"""Predicts with a .tflite file through LiteRT, without TensorFlow."""

from __future__ import annotations

import os
import zipfile

import numpy as np

from keras_t3d.artifact_files import read_artifact
from keras_t3d.inference.lite_runner import LiteRunner
from keras_t3d.inference.predictor import checked_clips


class LiteRTPredictor:
    """A Predictor over a `.tflite` file that `export_tflite` wrote.

    Args:
        path: path of the file.
        threads: int. Defaults to the cores that the process may use.

    Raises:
        ValueError: if the file is none of ours.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        path = os.fspath(path)
        try:
            with zipfile.ZipFile(path) as files:
                self.class_names, self.clip_spec = read_artifact(files.read)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                "Expected a .tflite file with its labels and ClipSpec inside, as `keras-t3d export "
                f"tflite MODEL OUT.tflite` writes ({error}). Received: {path}"
            ) from None
        try:
            self._run = LiteRunner(path, threads)
        except ValueError as error:
            raise ValueError(f"LiteRT cannot read the file ({error}). Received: {path}") from None

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        clips = checked_clips(clips, self.clip_spec)
        return np.concatenate([self._run(clip[None]) for clip in clips])
