"""Exports a model as an ONNX file, for ONNX Runtime and others that read ONNX."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.atomic import check_file_path, size_of, written_beside
from keras_t3d.deploy.comparison import (
    ExportReport,
    check_difference,
    comparison_clips,
    largest_difference,
)
from keras_t3d.deploy.file_export import export_file
from keras_t3d.deploy.network import check_exportable, in_float32
from keras_t3d.deploy.options import ONNXOptions
from keras_t3d.deploy.portable_function import function_of_videos
from keras_t3d.errors import MissingPackageError
from keras_t3d.inference.onnx_predictor import ONNXPredictor
from keras_t3d.models import VideoClassifier
from keras_t3d.version import __version__

TOLERANCE = 1e-4  # largest allowed difference of a probability from the Keras model's
OPSET = 18  # of ONNX 1.13, 2022


@dataclasses.dataclass(frozen=True)
class ONNXReport(ExportReport):
    """Result of `export_onnx`; see ExportReport."""

    @property
    def storage(self) -> str:
        return "float32"


def export_onnx(
    model: VideoClassifier,
    path: str | os.PathLike[str],
    calibration: Any = None,
    *,
    options: ONNXOptions | None = None,
) -> ONNXReport:
    """Writes the model as an `.onnx` file, and compares it with Keras.

    The file has one input `clips`, uint8 (B, frames, H, W, 3), and the outputs `probabilities`,
    float32 (B, classes), and `embedding`, float32 (B, width). Clips of the model's own shape are
    its input as they are; of others of any sizes, the graph takes the centre view. The class names
    and the ClipSpec are in `metadata_props`. Weights are float32.

    Args:
        model: the model, with an `"embedding"` layer, under Keras's TensorFlow backend.
        path: the file to write; an existing one is replaced.
        calibration: clips to compare on, a uint8 array of shape (clips, T, H, W, 3) or an
            iterable of such batches. None compares on generated clips.
        options: ONNXOptions.

    Returns:
        An ONNXReport.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or the model has no embedding.
        MissingPackageError: if tf2onnx or onnxruntime is not installed.
        ExportError: if a probability differs from the Keras model's by more than `TOLERANCE`.
            Nothing is written then.

    Example:

    ```python
    export_onnx(model, "t3d.onnx")
    session = onnxruntime.InferenceSession("t3d.onnx")
    session.run(["probabilities"], {"clips": clips})
    ```
    """
    check_exportable(model)
    check_file_path(path, "path", "t3d.onnx")
    clips = comparison_clips(model.clip_spec, calibration)
    with written_beside(path) as part:
        _write(model, part)
        found = ONNXPredictor(part).probabilities
        difference = largest_difference(in_float32(model), clips, found)
        check_difference(difference, TOLERANCE)
    return ONNXReport(Path(path), size_of(Path(path)), difference, len(clips))


def export_onnx_file(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    calibration: str | os.PathLike[str] | None = None,
    options: ONNXOptions | None = None,
    notify: Callable[[str], None] = print,
) -> ONNXReport:
    """Exports a `.keras` file by `export_onnx`; see `ExportTarget.export`."""
    return export_file(export_onnx, model, path, calibration, options, notify)


def _write(model: VideoClassifier, path: Path) -> None:
    tf2onnx = _import_tf2onnx()
    function = function_of_videos(model)
    file, _ = tf2onnx.convert.from_function(
        function,
        function.input_signature,
        opset=OPSET,
        custom_op_handlers={"Conv3D": (_convert_convolution, [])},
    )
    file.graph.name, file.producer_name, file.producer_version = (
        model.name,
        "keras_t3d",
        __version__,
    )
    for key, value in artifact_texts(model.class_names, model.clip_spec).items():
        entry = file.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(file.SerializeToString())


def _convert_convolution(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """Converts a 3D convolution with its groups, which tf2onnx sets for 2D ones only."""
    from tf2onnx.onnx_opset.nn import ConvOp

    channels, channels_of_group = (
        graph.get_shape(node.input[place])[axis] for place, axis in ((0, -1), (1, -2))
    )
    ConvOp.any_version(OPSET, graph, node)
    node.set_attr("group", channels // channels_of_group)
    return node


def _import_tf2onnx() -> Any:
    try:
        import tf2onnx
    except ModuleNotFoundError as error:
        if error.name != "tf2onnx":
            raise
        raise MissingPackageError(
            "Writing .onnx files requires tf2onnx: pip install 'keras-t3d[onnx]'"
        ) from None
    return tf2onnx
