"""Exports a model as a LiteRT (TFLite) file that runs without TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_t3d.artifact_files import artifact_texts
from keras_t3d.atomic import written_beside
from keras_t3d.deploy.calibration import first_clips, held_out_clips
from keras_t3d.deploy.comparison import ExportReport
from keras_t3d.deploy.errors import QuantizationError
from keras_t3d.deploy.lowering import check_lowerable
from keras_t3d.deploy.network import check_exportable
from keras_t3d.deploy.options import Quantization, TFLiteOptions, check_calibration
from keras_t3d.deploy.quantization_report import CALIBRATION_CLIPS, QuantizationReport
from keras_t3d.deploy.report_file import describe_evaluation, write_report
from keras_t3d.deploy.tflite_content import TOLERANCES, content_of_8_bits, content_of_floats
from keras_t3d.deploy.tflite_forms import form_for, number_of_clips
from keras_t3d.deploy.tflite_metadata import with_metadata
from keras_t3d.errors import InvalidArgumentError, check_argument
from keras_t3d.models import VideoClassifier
from keras_t3d.models.load import load_keras_model
from keras_t3d.streaming import StreamingForm


@dataclasses.dataclass(frozen=True)
class TFLiteReport(ExportReport):
    """Result of `export_tflite`.

    Attributes:
        path, num_bytes, largest_difference, num_clips: see ExportReport.
        quantization: storage of the weights.
        quantized: the effect of 8 bits; None for float32 and float16.
    """

    quantization: str
    quantized: QuantizationReport | None = None

    @property
    def storage(self) -> str:
        return f"quantization {self.quantization}"


def export_tflite(
    model: VideoClassifier,
    path: str | os.PathLike[str],
    quantization: Quantization | None = None,
    calibration: Any = None,
    *,
    evaluation: Any = None,
    options: TFLiteOptions | None = None,
) -> TFLiteReport:
    """Writes the model as a `.tflite` file of LiteRT builtins, and compares it with Keras.

    The file has one signature: `clip`, uint8 pixels of shape (1, T, H, W, 3), to
    `probabilities`, float32 of shape (1, classes). A zip at its end holds `labels.txt` (one
    class per line) and `clip_spec.json`; its metadata name them.

    With `options.streaming`, the signature is a step of a stream: `frames`, uint8 pixels of shape
    (1, frames per step, H, W, 3), and the state before them, one input for each tensor that is
    kept, to `probabilities` of what was seen so far and the state after them, of the same names.
    Zeros are the state before the first frame: in 8 bits, the zero point. `stream.json` describes
    it. Calibration and evaluation then take clips of 4 T frames, and the file is compared with
    Keras after every step of each.

    Args:
        model: the model, under Keras's TensorFlow backend.
        path: the file to write; an existing one is replaced.
        quantization: shorthand for `options.quantization`: `"none"` (float32); `"float16"`, half
            the size; `"dynamic"`, weights of 8 bits, a quarter of the size; or `"int8"`, weights
            and activations of 8 bits, a quarter of the size and several times faster.
        calibration: typical clips, a uint8 array of shape (clips, T, H, W, 3) or an iterable of
            such batches, or of pairs with labels. `"int8"` needs them and takes its ranges from
            the first 64; floats are compared on the first 8. None generates clips.
        evaluation: other clips, in the same form, on which to measure the effect of 8 bits, and
            of labelled ones the accuracy. None measures on those of `calibration`.
        options: TFLiteOptions.

    Returns:
        A TFLiteReport.

    Raises:
        InvalidArgumentError: if an argument is out of its range.
        UnsupportedLayerError: if LiteRT cannot run a layer.
        StreamingError: if the model is to be exported as a stream and is not causal.
        QuantizationError: if the logits correlate with the Keras model's by less than
            `LEAST_CORRELATION`; it has the report.
        ExportError: if a probability differs from the Keras model's by more than `TOLERANCES`
            allows. Nothing is written then, nor after any other error.

    Example:

    ```python
    from ai_edge_litert.interpreter import Interpreter

    report = export_tflite(model, "t3d.tflite", "int8", calibration=clips)
    print(*report.quantized.lines(), sep="\\n")
    classify = Interpreter("t3d.tflite").get_signature_runner()
    classify(clip=clips[:1])["probabilities"]
    ```
    """
    check_exportable(model)
    options = _options(quantization, options)
    path = Path(path)
    is_file_name = path.suffix == ".tflite" and not path.is_dir()
    check_argument("path", str(path), is_file_name, "a file that ends in .tflite, as in t3d.tflite")
    check_calibration(options, calibration)
    check_lowerable(model)
    form = form_for(model, options)
    licence = None if options.licence is None else Path(options.licence).read_text("utf-8")
    report: QuantizationReport | None = None
    if options.quantization in TOLERANCES:
        content, difference, num_clips = content_of_floats(form, options, calibration)
    else:
        content, report = content_of_8_bits(form, options, calibration, evaluation)
        difference, num_clips = report.largest_difference, report.num_clips
    with written_beside(path) as part:
        part.write_bytes(with_metadata(content, model, licence, form.stream))
        _append_associated_files(part, model, form.stream)
    num_bytes = path.stat().st_size
    return TFLiteReport(path, num_bytes, difference, num_clips, options.quantization, report)


def export_tflite_file(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    calibration: str | os.PathLike[str] | None = None,
    options: TFLiteOptions | None = None,
    notify: Callable[[str], None] = print,
) -> TFLiteReport:
    """Exports a `.keras` file by `export_tflite`; see `ExportTarget.export`.

    With 8 bits, the report is also written as JSON beside the file, even if the quantized model
    is rejected.
    """
    options = options or TFLiteOptions()
    network = load_keras_model(model)
    clips = evaluation = None
    facts: dict[str, Any] = {
        "model": os.fspath(model),
        "quantization": options.quantization,
        "float_layers": list(options.float_layers),
        "integer_output": options.integer_output,
        "clips": "generated",
    }
    if calibration is not None:
        check_exportable(network)
        check_lowerable(network)  # before clips are read
        form = form_for(network, options)
        clips = first_clips(calibration, form.clip_spec, number_of_clips(form, CALIBRATION_CLIPS))
        if options.quantization not in TOLERANCES:
            split, is_labelled, evaluation = held_out_clips(
                calibration,
                form.clip_spec,
                network.class_names,
                number_of_clips(form, options.report_clips),
            )
            num_ranges = len(clips) if options.quantization == "int8" else 0
            facts |= {
                "clips": os.fspath(calibration),
                "split": split,
                "clips_of_ranges": num_ranges,
            }
            describe_evaluation(split, is_labelled, num_ranges, notify)
    report_path = Path(path).with_suffix(".report.json")
    try:
        report = export_tflite(
            network, path, calibration=clips, evaluation=evaluation, options=options
        )
    except QuantizationError as error:
        write_report(error.report, {**facts, "refused": str(error)}, report_path, notify)
        raise
    for line in report.lines():
        notify(line)
    if report.quantized is None:
        report_path.unlink(missing_ok=True)  # of an earlier file
    else:
        checksum = hashlib.sha256(report.path.read_bytes()).hexdigest()
        write_report(report.quantized, {**facts, "sha256": checksum}, report_path, notify)
    return report


def _options(quantization: Quantization | None, options: TFLiteOptions | None) -> TFLiteOptions:
    if options is None:
        return TFLiteOptions(quantization or "none")
    if quantization not in (None, options.quantization):
        raise InvalidArgumentError(
            "`quantization` must be left out where `options` is given, for example "
            f"options=TFLiteOptions({quantization!r}). Received: {quantization!r} and {options}",
            argument="quantization",
        )
    return options


def _append_associated_files(
    path: Path, model: VideoClassifier, stream: StreamingForm | None
) -> None:
    """Adds the zip that TFLite readers know as associated files; the flatbuffer ignores it."""
    fixed = (1980, 1, 1, 0, 0, 0)  # the bytes of a file do not depend on the time
    with zipfile.ZipFile(path, "a") as associated:
        description = None if stream is None else stream.describe()
        texts = artifact_texts(model.class_names, model.clip_spec, description)
        for name, text in texts.items():
            associated.writestr(zipfile.ZipInfo(name, fixed), text)
