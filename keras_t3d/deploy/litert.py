"""Exports a network as a LiteRT (TFLite) file that runs without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.atomic import written_beside
from keras_t3d.deploy.backend import check_backend
from keras_t3d.deploy.comparison import (
    check_classifier,
    check_difference,
    clip_batches,
    comparison_clips,
    largest_difference,
)
from keras_t3d.deploy.integer_conversion import IntegerConversion, LayerError
from keras_t3d.deploy.lite_conversion import convert
from keras_t3d.deploy.lite_metadata import with_metadata
from keras_t3d.deploy.quantization_report import (
    QuantizationReport,
    compare,
    keras_probabilities,
)
from keras_t3d.deploy.weights import in_float32
from keras_t3d.inference.lite_runner import LiteRunner
from keras_t3d.models import VideoClassifier

# By how much a probability may differ from the Keras model's, by quantization.
TOLERANCES = {"none": 1e-4, "float16": 2e-2}
# How well logits must correlate with those in floats: below, the file is of no use.
LEAST_CORRELATION = 0.9
QUANTIZATIONS = (*TOLERANCES, "dynamic", "int8")
CALIBRATION_CLIPS = 64
_CLIPS_OF_LAYER_ERRORS = 4


@dataclasses.dataclass(frozen=True)
class TFLiteReport:
    """What `export_tflite` wrote.

    Args:
        path: Path of the file.
        num_bytes: int. Its size.
        quantization: str. How its weights are stored.
        largest_difference: float. Largest absolute difference of a probability from
            the Keras model's, over the clips compared.
        num_clips: int. Clips compared.
        quantized: QuantizationReport of what it costs; None where nothing is rounded to 8 bits.
    """

    path: Path
    num_bytes: int
    quantization: str
    largest_difference: float
    num_clips: int
    quantized: QuantizationReport | None = None


def export_tflite(
    model: VideoClassifier,
    path: str | os.PathLike[str],
    quantization: str = "none",
    calibration: Any = None,
    *,
    evaluation: Any = None,
    float_layers: Sequence[str] = (),
    integer_output: bool = False,
    licence: str | None = None,
) -> TFLiteReport:
    """Writes the network as a `.tflite` file of LiteRT builtins, and checks it against Keras.

    The file has one signature: `clip`, uint8 of shape (1, T, H, W, 3), pixels as they
    are, to `probabilities`, float32 of shape (1, classes). A zip at its end holds
    `labels.txt` (one class per line) and `clip_spec.json`; its metadata name them.

    Args:
        model: VideoClassifier.
        path: str or path. The file to write; one that exists is replaced.
        quantization: `"none"` (float32); `"float16"`, which halves the file; `"dynamic"`, weights
            of 8 bits, a quarter of the size; or `"int8"`, which computes in whole numbers of 8
            bits too: a quarter of the size, several times faster. Defaults to `"none"`.
        calibration: uint8 array of shape (clips, T, H, W, 3) or an iterable of such
            batches, or of pairs with labels: clips as the network will see them. `"int8"` takes
            its ranges from the first 64; floats are compared on the first 8. None takes clips of
            the motion set, but for `"int8"`. Defaults to `None`.
        evaluation: the same, other clips, on which what 8 bits cost is measured, with labels its
            accuracy; None measures on those of `calibration`. Defaults to `None`.
        float_layers: names of layers that `"int8"` leaves in floats, for example those that
            its report says err most: `"stem"` is all within it. Defaults to none.
        integer_output: bool. Whether with `"int8"` the classifying layer too computes in whole
            numbers, and probabilities are int8 `p * 256 - 128`, for hardware without floats.
            Defaults to `False`.
        licence: str. The network's licence, a text that the file's metadata carry. Defaults to
            `None`.

    Returns:
        A TFLiteReport.

    Raises:
        ValueError: if an argument is out of its range, or the network has a layer that
            LiteRT cannot run.
        RuntimeError: if the file's probabilities differ from the Keras model's by more
            than `TOLERANCES` allows; or a QuantizationError, with the report, if its logits
            correlate with the Keras model's by less than `LEAST_CORRELATION`. Nothing is written
            then.

    Example:

    ```python
    report = export_tflite(model, "t3d.tflite", "int8", calibration=clips)
    print(*report.quantized.lines(), sep="\\n")
    interpreter = ai_edge_litert.interpreter.Interpreter("t3d.tflite")
    scores = interpreter.get_signature_runner()(clip=clip[None])["probabilities"]
    ```
    """
    check_classifier(model)
    check_backend()
    _check_options(quantization, calibration, float_layers, integer_output)
    path = _checked_path(path)
    in_floats = in_float32(model)
    if quantization in TOLERANCES:
        clips = comparison_clips(model.clip_spec, calibration)
        content = convert(model, quantization)
        _check_builtins_only(content)
        difference = largest_difference(in_floats, clips, LiteRunner(content))
        check_difference(difference, TOLERANCES[quantization])
        num_clips, report = len(clips), None
    else:
        clips = comparison_clips(model.clip_spec, calibration, CALIBRATION_CLIPS)
        errors: list[LayerError] = []
        if quantization == "int8":
            conversion = IntegerConversion(model, clips)
            content = conversion.convert(float_layers, integer_output)
            errors = conversion.layer_errors(clips[:_CLIPS_OF_LAYER_ERRORS], float_layers)
        else:
            content = convert(model, quantization)
        _check_builtins_only(content)
        report = _report(
            model, in_floats, content, clips if evaluation is None else evaluation, tuple(errors)
        )
        _check_correlation(report, quantization)
        difference, num_clips = report.largest_difference, report.num_clips

    with written_beside(path) as part:
        part.write_bytes(with_metadata(content, model, licence))
        _append_associated_files(part, model)
    return TFLiteReport(path, path.stat().st_size, quantization, difference, num_clips, report)


def _check_options(
    quantization: str, calibration: Any, float_layers: Sequence[str], integer_output: bool
) -> None:
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"`quantization` must be one of {QUANTIZATIONS}. Received: {quantization!r}"
        )
    if quantization == "int8" and calibration is None:
        raise ValueError(
            "quantization='int8' needs `calibration`, clips as the network will see them, whose "
            "ranges it takes: for example keras_t3d.data.load_clips('shards', 'train', "
            "model.clip_spec, 16), or on the command line --calibration SHARDS. Received: None"
        )
    if isinstance(float_layers, str):
        raise ValueError(
            f"`float_layers` must be a list of names, for example [{float_layers!r}]. "
            f"Received: {float_layers!r}"
        )
    if quantization != "int8" and (float_layers or integer_output):
        raise ValueError(
            "`float_layers` and `integer_output` are for quantization='int8' alone. "
            f"Received: quantization={quantization!r}"
        )


def _checked_path(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"`path` must name a file, for example {path / 'model.tflite'}. Received: a folder, "
            f"{path}"
        )
    if path.suffix != ".tflite":
        raise ValueError(
            f"`path` must end in .tflite, for example {path.name}.tflite. Received: {path}"
        )
    return path


def _report(
    model: VideoClassifier,
    in_floats: Any,
    content: bytes,
    evaluation: Any,
    errors: tuple[LayerError, ...],
) -> QuantizationReport:
    run = LiteRunner(content)
    compiled = tf.function(
        lambda clips: in_floats(clips, training=False),
        input_signature=[tf.TensorSpec((1, *model.clip_spec.input_shape), tf.uint8)],
    )
    expected, found = [], []
    labels: list[np.ndarray] = []
    for clips, own in clip_batches(model.clip_spec, evaluation, "evaluation"):
        expected.append(keras_probabilities(lambda clip, **_: compiled(clip), clips))
        found.append(np.concatenate([run(clip[None]) for clip in clips]))
        labels += [] if own is None else [own]
    known = np.concatenate(labels) if len(labels) == len(expected) else None
    contents = (convert(model, "none"), content)
    return compare(
        np.concatenate(expected), np.concatenate(found), known, contents, errors, run.step
    )


class QuantizationError(RuntimeError):
    """A network answers otherwise in 8 bits.

    Attributes:
        report: QuantizationReport, which says where.
    """

    def __init__(self, message: str, report: QuantizationReport) -> None:
        super().__init__(message)
        self.report = report


def _check_correlation(report: QuantizationReport, quantization: str) -> None:
    if not report.correlation >= LEAST_CORRELATION:  # so that NaN fails too
        worst = [error.layer for error in report.layer_errors[:3]]
        advice = f"float_layers={worst} (--float-layers {' '.join(worst)}), or " if worst else ""
        raise QuantizationError(
            f"With quantization={quantization!r} the network answers otherwise: its logits "
            f"correlate by {report.correlation:.3f} with those in floats, and at least "
            f"{LEAST_CORRELATION} is asked for. Try {advice}calibration clips of the kind that it "
            "was trained on.",
            report,
        )


def list_ops(path: str | os.PathLike[str]) -> list[str]:
    """Returns the names of the operations in a `.tflite` file, each once, sorted.

    Args:
        path: str or path. The file.

    Returns:
        Strings such as `"CONV_2D"`; operations that are no LiteRT builtins read
        `"CUSTOM:"` and their own name, for example `"CUSTOM:FlexConv3D"`.

    Example:

    ```python
    list_ops("t3d.tflite")  # ["ADD", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", ...]
    ```
    """
    return _operations(Path(path).read_bytes())


def _operations(content: bytes) -> list[str]:
    codes = schema.Model.GetRootAs(content)
    names = {
        value: name for name, value in vars(schema.BuiltinOperator).items() if name[0].isupper()
    }
    found = set()
    for index in range(codes.OperatorCodesLength()):
        code = codes.OperatorCodes(index)
        # Files written for old readers keep codes below 127 in the older, one-byte field.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(f"CUSTOM:{custom.decode()}" if custom else names.get(builtin, str(builtin)))
    return sorted(found)


def _check_builtins_only(content: bytes) -> None:
    custom = [name for name in _operations(content) if name.startswith("CUSTOM:")]
    if custom:
        raise ValueError(
            "The converted network needs operations that LiteRT does not have built in, so it "
            f"would not run on a phone: every operation must be a builtin. Received: {custom}"
        )


def _append_associated_files(path: Path, model: VideoClassifier) -> None:
    """Adds the zip that TFLite readers know as associated files; the flatbuffer ignores it."""
    fixed = (1980, 1, 1, 0, 0, 0)  # so that one model gives one file, whenever it is written
    with zipfile.ZipFile(path, "a") as associated:
        for name, text in artifact_texts(model.class_names, model.clip_spec).items():
            associated.writestr(zipfile.ZipInfo(name, fixed), text)
