"""Exports a model for OpenVINO: float32, with a hint for bfloat16, or 8 bits."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_t3d.artifact_files import OPENVINO_MODEL, OPENVINO_SECTION, artifact_texts
from keras_t3d.atomic import remove, size_of
from keras_t3d.deploy.calibration import first_clips, held_out_clips
from keras_t3d.deploy.comparison import (
    NUM_CLIPS,
    ExportReport,
    check_difference,
    clip_batches,
    comparison_clips,
    largest_difference,
)
from keras_t3d.deploy.errors import QuantizationError
from keras_t3d.deploy.network import check_exportable, in_float32
from keras_t3d.deploy.openvino_network import convert, import_nncf, quantized, with_view
from keras_t3d.deploy.options import OpenVINOOptions, check_calibration
from keras_t3d.deploy.quantization_report import (
    CALIBRATION_CLIPS,
    MeasuredFile,
    QuantizationReport,
    check_correlation,
    measure,
)
from keras_t3d.deploy.report_file import describe_evaluation, write_report
from keras_t3d.deploy.tflite_forms import ClipForm
from keras_t3d.deploy.versions import check_holds_versions, new_version
from keras_t3d.inference.openvino_predictor import (
    DEFAULT_PRECISION,
    PRECISION,
    OpenVINOPredictor,
    import_openvino,
)
from keras_t3d.models import VideoClassifier
from keras_t3d.models.load import load_keras_model

# Largest allowed difference of a probability from the Keras model's, by quantization.
TOLERANCES = {"none": 1e-4, "bfloat16": 5e-2}
REPORT = "report.json"
# OpenVINO's default is bfloat16 where the processor has it. 8 bits leave some operations in floats.
_PRECISIONS = {"none": "f32", "bfloat16": DEFAULT_PRECISION, "int8": DEFAULT_PRECISION}


@dataclasses.dataclass(frozen=True)
class OpenVINOReport(ExportReport):
    """Result of `export_openvino`.

    Attributes:
        path, num_bytes, largest_difference, num_clips: see ExportReport.
        quantization: storage of the weights, and what computes.
        quantized: the effect of 8 bits; None for floats.
    """

    quantization: str
    quantized: QuantizationReport | None = None

    @property
    def storage(self) -> str:
        return f"quantization {self.quantization}"


def export_openvino(
    model: VideoClassifier,
    directory: str | os.PathLike[str],
    calibration: Any = None,
    *,
    evaluation: Any = None,
    options: OpenVINOOptions | None = None,
) -> OpenVINOReport:
    """Writes the next version of the model under `directory`, and compares it with Keras.

    Versions are the directories `directory/1`, `directory/2` and so on, as OpenVINO Model Server
    reads them. Each holds `model.xml` and `model.bin`: one input `clips`, uint8
    (B, frames, H, W, 3), to `probabilities`, float32 (B, classes), and `embedding`, float32
    (B, width). Clips of the model's own shape are its input as they are; of others of any sizes,
    the graph takes the centre view. The class names and the ClipSpec are in the model's `rt_info`.

    Args:
        model: the model, with an `"embedding"` layer, under Keras's TensorFlow backend.
        directory: directory of the versions.
        calibration: typical clips, a uint8 array of shape (clips, T, H, W, 3) or an iterable of
            such batches, or of pairs with labels. `"int8"` needs them and takes its ranges from
            the first 64; floats are compared on the first 8. None generates clips.
        evaluation: other clips, in the same form, on which to measure the effect of 8 bits, and
            of labelled ones the accuracy. None measures on those of `calibration`.
        options: OpenVINOOptions.

    Returns:
        An OpenVINOReport.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or the model has no embedding.
        MissingPackageError: if openvino is not installed, or nncf for 8 bits.
        QuantizationError: if the logits of 8 bits correlate with the Keras model's by less than
            `LEAST_CORRELATION`; it has the report.
        ExportError: if a probability differs from the Keras model's by more than `TOLERANCES`
            allows. Nothing is written then, nor after any other error.

    Example:

    ```python
    options = keras_t3d.deploy.OpenVINOOptions("int8")
    report = export_openvino(model, "openvino/t3d", clips, options=options)
    print(*report.quantized.lines(), sep="\\n")
    keras_t3d.inference.load_predictor("openvino/t3d").probabilities(clips[:1])
    ```
    """
    check_exportable(model)
    options = options or OpenVINOOptions()
    directory = Path(directory)
    check_holds_versions(directory, OPENVINO_MODEL)
    check_calibration(options, calibration)
    is_quantized = options.quantization == "int8"
    if is_quantized:
        import_nncf()  # before the network is converted
    limit = CALIBRATION_CLIPS if is_quantized else NUM_CLIPS
    clips = comparison_clips(model.clip_spec, calibration, limit)
    network = convert(model)
    report: QuantizationReport | None = None
    with new_version(directory) as version:
        if is_quantized:
            batches = clips if evaluation is None else evaluation
            _write(quantized(network, clips), model, "int8", version.folder)
            report = _measured(model, network, version.folder, batches)
            check_correlation(report, "int8")
            difference, num_clips = report.largest_difference, report.num_clips
        else:
            _write(network, model, options.quantization, version.folder)
            found = OpenVINOPredictor(version.folder).probabilities
            difference, num_clips = largest_difference(in_float32(model), clips, found), len(clips)
            check_difference(difference, TOLERANCES[options.quantization])
    path = version.path
    return OpenVINOReport(path, size_of(path), difference, num_clips, options.quantization, report)


def export_openvino_file(
    model: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    calibration: str | os.PathLike[str] | None = None,
    options: OpenVINOOptions | None = None,
    notify: Callable[[str], None] = print,
) -> OpenVINOReport:
    """Exports a `.keras` file by `export_openvino`; see `ExportTarget.export`.

    With 8 bits, the report is also written as JSON to the folder of the version.
    """
    options = options or OpenVINOOptions()
    network = load_keras_model(model)
    facts: dict[str, Any] = {"model": os.fspath(model), "quantization": options.quantization}
    clips = evaluation = None
    if calibration is not None:
        check_exportable(network)  # before clips are read
        clips = first_clips(calibration, network.clip_spec, CALIBRATION_CLIPS)
        if options.quantization == "int8":
            split, is_labelled, evaluation = held_out_clips(
                calibration, network.clip_spec, network.class_names, options.report_clips
            )
            describe_evaluation(split, is_labelled, len(clips), notify)
            facts |= {
                "clips": os.fspath(calibration),
                "split": split,
                "clips_of_ranges": len(clips),
            }
    try:
        report = export_openvino(network, directory, clips, evaluation=evaluation, options=options)
    except QuantizationError as error:
        for line in error.report.lines():
            notify(line)
        raise
    for line in report.lines():
        notify(line)
    if report.quantized is not None:
        write_report(report.quantized, facts, report.path / REPORT, notify)
    return report


def _write(network: Any, model: VideoClassifier, quantization: str, folder: Path) -> None:
    joined = with_view(network, model)
    texts = artifact_texts(model.class_names, model.clip_spec)
    for name, text in {**texts, PRECISION: _PRECISIONS[quantization]}.items():
        joined.set_rt_info(text, [OPENVINO_SECTION, name])
    import_openvino().save_model(joined, folder / OPENVINO_MODEL, compress_to_fp16=False)


def _measured(
    model: VideoClassifier, network: Any, folder: Path, batches: Any
) -> QuantizationReport:
    """Compares a version of 8 bits with Keras, and its size and time with those of float32."""
    float_folder = folder / "float32"
    float_folder.mkdir()
    _write(network, model, "none", float_folder)
    predictors = OpenVINOPredictor(float_folder), OpenVINOPredictor(folder)
    float_bytes = size_of(float_folder)
    sizes = float_bytes, size_of(folder) - float_bytes
    remove(float_folder)
    clip = comparison_clips(model.clip_spec, limit=1)
    runs = (functools.partial(predictor.probabilities, clip) for predictor in predictors)
    files = tuple(map(MeasuredFile, sizes, runs))
    labelled = clip_batches(model.clip_spec, batches, "evaluation")
    return measure(ClipForm(model).expected, predictors[1].probabilities, labelled, files)
