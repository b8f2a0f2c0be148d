"""The formats of exported models: how a path is recognized, and what loads it.

This module imports nothing heavy, so that the command knows which models need TensorFlow.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import pathlib
from collections.abc import Callable
from typing import Any

from keras_t3d.artifact_files import OPENVINO_MODEL, has_version, is_saved_model
from keras_t3d.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True)
class ArtifactFormat:
    """A format of exported models.

    Attributes:
        description: what the user names, for help and messages.
        recognizes: returns whether an existing path is of this format.
        loader: `module:function` from the path to its Predictor.
        framework: what computes it; see `keras_t3d.hardware.describe_processors`.
    """

    description: str
    recognizes: Callable[[pathlib.Path], bool]
    loader: str
    framework: str

    def load(self, path: str | os.PathLike[str]) -> Any:
        """Returns the Predictor of a model."""
        module, _, function = self.loader.partition(":")
        return getattr(importlib.import_module(module), function)(path)


def _ends_in(suffix: str) -> Callable[[pathlib.Path], bool]:
    return lambda path: path.suffix == suffix


def _is_openvino(path: pathlib.Path) -> bool:
    return path.name == OPENVINO_MODEL or (path.is_dir() and has_version(path, OPENVINO_MODEL))


ARTIFACT_FORMATS = (
    ArtifactFormat(
        ".tflite file",
        _ends_in(".tflite"),
        "keras_t3d.inference.litert_predictor:load_litert",
        "litert",
    ),
    ArtifactFormat(
        ".onnx file",
        _ends_in(".onnx"),
        "keras_t3d.inference.onnx_predictor:ONNXPredictor",
        "onnxruntime",
    ),
    ArtifactFormat(
        "OpenVINO folder",
        _is_openvino,
        "keras_t3d.inference.openvino_predictor:OpenVINOPredictor",
        "openvino",
    ),
    ArtifactFormat(  # any other folder; the loader raises an error for what is missing
        "SavedModel folder",
        is_saved_model,
        "keras_t3d.inference.saved_model_predictor:load_saved_model",
        "tensorflow",
    ),
)


def artifact_format(path: str | os.PathLike[str]) -> ArtifactFormat | None:
    """Returns the format of an exported model; None for another file, as a `.keras` file."""
    return next((known for known in ARTIFACT_FORMATS if known.recognizes(pathlib.Path(path))), None)


def check_has_layers(path: str | os.PathLike[str]) -> None:
    """Raises an InvalidArgumentError for an exported model, whose layers cannot be read."""
    if artifact_format(path) is not None:
        raise InvalidArgumentError(
            "`model` must be a .keras file, which holds the layers, for example "
            "runs/a/best.keras: exported ones return probabilities of clips. Received: "
            f"{os.fspath(path)}",
            argument="model",
        )
