"""Export targets: the registry that the command reads, and the options of each target.

This module imports no TensorFlow, so that the command lists targets and options at once.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from keras_t3d.errors import check_argument, check_integer
from keras_t3d.streaming.options import StreamOptions

if TYPE_CHECKING:
    from keras_t3d.deploy.comparison import ExportReport

Quantization = Literal["none", "float16", "dynamic", "int8"]
OpenVINOQuantization = Literal["none", "bfloat16", "int8"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamExportOptions(StreamOptions):
    """Options that the exports of streams have.

    Args:
        streaming: export a causal network as a stream: a step takes a few frames and what it kept
            of those before, so that each frame is computed once
    """

    streaming: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in dataclasses.fields(StreamOptions):
            value = getattr(self, field.name)
            is_valid = self.streaming or value == field.default
            check_argument(field.name, value, is_valid, "left out unless `streaming` is set")

    @property
    def stream_options(self) -> StreamOptions:
        """Which frames a prediction of the stream is about."""
        names = (field.name for field in dataclasses.fields(StreamOptions))
        return StreamOptions(**{name: getattr(self, name) for name in names})


@dataclasses.dataclass(frozen=True)
class SavedModelOptions(StreamExportOptions):
    """Options of a SavedModel export.

    Args:
        frozen: store weights as constants of a folded graph, which takes 25 % less time per clip
            and uses 25 times the weights' size in memory (default: up to 200 MB of weights)

    Example:

    ```python
    SavedModelOptions(frozen=False)
    ```
    """

    frozen: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        is_valid = self.frozen is None or not self.streaming
        check_argument("frozen", self.frozen, is_valid, "left out with `streaming`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizationOptions:
    """Options of the exports that measure the effect of 8 bits.

    Args:
        report_clips: clips of the shards' test or val split on which to measure the effect of
            8 bits, at most
    """

    report_clips: int = 200

    def __post_init__(self) -> None:
        check_integer("report_clips", self.report_clips, 1, 200)


@dataclasses.dataclass(frozen=True)
class TFLiteOptions(StreamExportOptions, QuantizationOptions):
    """Options of a TFLite export.

    Args:
        quantization: float32; weights of 16 bits; weights of 8 bits; weights and activations of
            8 bits
        float_layers: layers that int8 keeps in floats, named as in its report, for example stem
            block1/layer2_conv1
        integer_output: compute the int8 classification layer in integers too; probabilities are
            then int8, p * 256 - 128
        licence: text file with the model's licence, stored in the file's metadata

    Raises:
        InvalidArgumentError: if an option is out of its range.

    Example:

    ```python
    TFLiteOptions("int8", float_layers=["stem"])
    ```
    """

    quantization: Quantization = "none"
    float_layers: Sequence[str] = ()
    integer_output: bool = False
    licence: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        QuantizationOptions.__post_init__(self)
        _check_quantization(self.quantization, Quantization)
        layers = self.float_layers
        names = f"a list of layer names, for example [{layers!r}]"
        check_argument("float_layers", layers, not isinstance(layers, str), names)
        for name in ("float_layers", "integer_output"):
            value = getattr(self, name)
            is_valid = not value or self.quantization == "int8"
            check_argument(name, value, is_valid, "left out unless `quantization` is 'int8'")
        rule = "left out with `streaming`, whose predictions are computed in floats"
        check_argument("integer_output", True, not (self.integer_output and self.streaming), rule)


@dataclasses.dataclass(frozen=True)
class OpenVINOOptions(QuantizationOptions):
    """Options of an OpenVINO export.

    Args:
        quantization: float32; the same with a hint to compute in bfloat16, which is faster where
            the processor has it; weights and activations of 8 bits

    Raises:
        InvalidArgumentError: if an option is out of its range.

    Example:

    ```python
    OpenVINOOptions("int8")
    ```
    """

    quantization: OpenVINOQuantization = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_quantization(self.quantization, OpenVINOQuantization)


@dataclasses.dataclass(frozen=True)
class ONNXOptions:
    """Options of an ONNX export: none, weights are float32.

    Example:

    ```python
    ONNXOptions()
    ```
    """


def check_calibration(options: Any, calibration: Any) -> None:
    """Raises an InvalidArgumentError if 8 bits have no clips to take their ranges from."""
    check_argument(
        "calibration",
        calibration,
        calibration is not None or getattr(options, "quantization", None) != "int8",
        "given with `quantization` 'int8', which takes its ranges from typical clips, for example "
        "those of your shards",
    )


def _check_quantization(value: str, kinds: Any) -> None:
    one_of = f"one of {', '.join(get_args(kinds))}"
    check_argument("quantization", value, value in get_args(kinds), one_of)


@dataclasses.dataclass(frozen=True)
class ExportTarget:
    """A format to which `keras-t3d export` writes models.

    Args:
        name: name of the subcommand.
        summary: purpose of the format, for the list of subcommands.
        out: description of the output path.
        options: dataclass of the target's options, from which its flags derive.
        function: `module:function` that exports a `.keras` file; see `export`.
    """

    name: str
    summary: str
    out: str
    options: type[Any]
    function: str

    def export(
        self,
        model: str | os.PathLike[str],
        out: str | os.PathLike[str],
        calibration: str | os.PathLike[str] | None = None,
        options: Any = None,
        notify: Callable[[str], None] = print,
    ) -> ExportReport:
        """Exports a trained model.

        Args:
            model: `.keras` file.
            out: path to write.
            calibration: directory of clip shards to compare on, and to calibrate with where the
                format needs it. None compares on generated clips.
            options: instance of the target's dataclass. None takes the defaults.
            notify: receives each line of progress and of the report.

        Returns:
            The report.

        Example:

        ```python
        EXPORT_TARGETS["tflite"].export("runs/a/best.keras", "t3d.tflite")
        ```
        """
        module, _, function = self.function.partition(":")
        export = getattr(importlib.import_module(module), function)
        report: ExportReport = export(model, out, calibration, options or self.options(), notify)
        return report


EXPORT_TARGETS: dict[str, ExportTarget] = {
    target.name: target
    for target in (
        ExportTarget(
            "saved-model",
            "for TF Serving",
            "directory of versions: writes OUT/1, then OUT/2",
            SavedModelOptions,
            "keras_t3d.deploy.saved_model:export_saved_model_file",
        ),
        ExportTarget(
            "tflite",
            "for LiteRT (TensorFlow Lite)",
            ".tflite file to write",
            TFLiteOptions,
            "keras_t3d.deploy.tflite:export_tflite_file",
        ),
        ExportTarget(
            "openvino",
            "for OpenVINO, on processors of servers",
            "directory of versions: writes OUT/1, then OUT/2",
            OpenVINOOptions,
            "keras_t3d.deploy.openvino:export_openvino_file",
        ),
        ExportTarget(
            "onnx",
            "for ONNX Runtime and others that read ONNX",
            ".onnx file to write",
            ONNXOptions,
            "keras_t3d.deploy.onnx:export_onnx_file",
        ),
    )
}
