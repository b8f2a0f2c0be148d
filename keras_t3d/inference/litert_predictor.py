"""Predicts with a .tflite file through LiteRT, without TensorFlow."""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np

from keras_t3d.artifact_files import read_artifact, read_stream
from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.litert_signature import LiteRTSignature
from keras_t3d.inference.litert_steps import LiteRTSteps
from keras_t3d.inference.predictor import Predictor, validate_clips
from keras_t3d.inference.stream_predictor import StreamPredictor


class LiteRTRunner:
    """Runs a `.tflite` file of this package on one clip at a time, of one thread at a time.

    Probabilities are returned as floats, also where the file's output is quantized.

    Args:
        file: path of the file (str), or its content (bytes).
        threads: number of threads; None uses as many as the process has cores.

    Raises:
        ValueError: if LiteRT cannot read the file.
    """

    def __init__(self, file: str | bytes, threads: int | None = None) -> None:
        self._run = LiteRTSignature(file, threads)
        (details,) = self._run.outputs.values()
        self._scale, self._zero_point = details["quantization"]
        self._is_float = details["dtype"] == np.float32

    @property
    def step(self) -> float:
        """The smallest difference between two probabilities; 0 for a float output."""
        return 0.0 if self._is_float else self._scale

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Maps a clip, uint8 (1, T, H, W, 3), to probabilities, float32 (1, classes)."""
        output = self._run(clip=clip)["probabilities"]
        if self._is_float:
            return output
        return (output.astype(np.float32) - self._zero_point) * np.float32(self._scale)


def load_litert(path: str | os.PathLike[str]) -> Predictor:
    """Returns the predictor of a `.tflite` file, of clips or of a stream."""
    path = os.fspath(path)
    class_names, clip_spec, stream = _read(path)
    if stream is None:
        return LiteRTPredictor(path)
    try:
        steps = LiteRTSteps(path)
    except ValueError as error:
        raise _unreadable(path, error) from None
    return StreamPredictor(steps, class_names, clip_spec, stream["frames_per_step"])


def _read(path: str) -> tuple[tuple[str, ...], ClipSpec, dict[str, Any] | None]:
    """Returns the class names, the ClipSpec and the description of a stream in a file."""
    try:
        with zipfile.ZipFile(path) as files:
            return *read_artifact(files.read), read_stream(files.read)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidArgumentError(
            "Expected a .tflite file that contains its labels and ClipSpec, as "
            f"keras_t3d.deploy.export_tflite writes it ({error}). Received: {path}"
        ) from None


def _unreadable(path: str, error: ValueError) -> InvalidArgumentError:
    return InvalidArgumentError(f"LiteRT cannot read the file ({error}). Received: {path}")


class LiteRTPredictor:
    """A Predictor for a `.tflite` file that `export_tflite` wrote, safe from several threads.

    Threads wait for each other, as one prediction uses all cores.

    Args:
        path: path of the file.
        threads: number of threads; None uses as many as the process has cores.

    Raises:
        InvalidArgumentError: if the file is not a `.tflite` file of this package.

    Example:

    ```python
    LiteRTPredictor("t3d.tflite", threads=2).class_names
    ```
    """

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        path = os.fspath(path)
        self.class_names, self.clip_spec, _ = _read(path)
        try:
            self._run = LiteRTRunner(path, threads)
        except ValueError as error:
            raise _unreadable(path, error) from None

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        clips = validate_clips(clips, self.clip_spec)
        return np.concatenate([self._run(clip[None]) for clip in clips])
