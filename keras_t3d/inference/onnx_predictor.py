"""Predicts with an exported ONNX file through ONNX Runtime, without TensorFlow."""

from __future__ import annotations

import os
from typing import Any

import loky
import numpy as np

from keras_t3d.artifact_files import read_artifact
from keras_t3d.errors import InvalidArgumentError, MissingPackageError
from keras_t3d.inference.predictor import CLIPS, EMBEDDING, PROBABILITIES, validate_clips


class ONNXPredictor:
    """A Predictor for a file that `export_onnx` wrote, safe from several threads.

    It computes embeddings too.

    Args:
        path: path of the file.
        threads: number of threads; None uses as many as the process has cores.

    Raises:
        InvalidArgumentError: if the file is not an ONNX file of this package.
        MissingPackageError: if ONNX Runtime is not installed.

    Example:

    ```python
    ONNXPredictor("t3d.onnx", threads=2).class_names
    ```
    """

    def __init__(self, path: str | os.PathLike[str], threads: int | None = None) -> None:
        path = os.fspath(path)
        self._session = _session(path, threads or loky.cpu_count())
        texts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.class_names, self.clip_spec = read_artifact(lambda name: texts[name].encode())
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(
                "Expected an .onnx file that contains its labels and ClipSpec, as "
                f"keras_t3d.deploy.export_onnx writes it ({error}). Received: {path}"
            ) from None

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        return self._output(PROBABILITIES, clips)

    def embeddings(self, clips: np.ndarray) -> np.ndarray:
        return self._output(EMBEDDING, clips)

    def _output(self, name: str, clips: np.ndarray) -> np.ndarray:
        (values,) = self._session.run([name], {CLIPS: validate_clips(clips, self.clip_spec)})
        return values


def _session(path: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise MissingPackageError(
            ".onnx files require onnxruntime: pip install 'keras-t3d[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of several classes, which ONNX Runtime does not document
        reason = str(error).strip().splitlines()[0]
        raise InvalidArgumentError(
            f"ONNX Runtime cannot read the file ({reason}). Received: {path}"
        ) from None
