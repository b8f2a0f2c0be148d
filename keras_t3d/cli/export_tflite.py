"""Exports a trained network as a LiteRT (.tflite) file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.atomic import write_text
from keras_t3d.deploy import export_tflite
from keras_t3d.deploy.calibration import first_clips, held_out_clips
from keras_t3d.deploy.litert import CALIBRATION_CLIPS, QuantizationError
from keras_t3d.deploy.quantization_report import QuantizationReport
from keras_t3d.inference.load import load_keras_model
from keras_t3d.version import __version__

_MEASURED = ("dynamic", "int8")


def main(
    model: str,
    out: str,
    quantization: str = "none",
    calibration: str | None = None,
    *,
    report_clips: int = 200,
    float_layers: Sequence[str] = (),
    integer_output: bool = False,
    licence: str | None = None,
) -> None:
    """Writes the file and prints what was written; for 8 bits, what they cost, as JSON beside it.

    Args:
        model: `.keras` file of a trained network.
        out: the `.tflite` file to write; one that exists is replaced.
        quantization: `"none"` (float32), `"float16"`, `"dynamic"` or `"int8"`. Defaults to
            `"none"`.
        calibration: folder of clip shards, whose first clips are compared on; `"int8"` takes
            ranges from them, and what 8 bits cost is measured on its test split, or `val`. None
            compares on made clips. Defaults to `None`.
        report_clips: int. On how many clips what 8 bits cost is measured, at most. Defaults to
            200.
        float_layers: see `export_tflite`. Defaults to none.
        integer_output: see `export_tflite`. Defaults to `False`.
        licence: text file with the network's licence. Defaults to `None`.

    Raises:
        ValueError: if `model` is no such file, or an option is out of its range.

    Example:

    ```python
    main("runs/a/best.keras", "t3d.tflite", quantization="int8", calibration="shards/mine")
    ```
    """
    classifier = load_keras_model(model)
    spec = classifier.clip_spec
    clips = evaluation = None
    facts: dict[str, Any] = {
        "model": model,
        "quantization": quantization,
        "float_layers": list(float_layers),
        "integer_output": integer_output,
        "clips": "generated",
    }
    if calibration is not None:
        clips = first_clips(calibration, spec, CALIBRATION_CLIPS)
        if quantization in _MEASURED:
            split, labelled, evaluation = held_out_clips(
                calibration, spec, classifier.class_names, report_clips
            )
            ranges = len(clips) if quantization == "int8" else 0
            facts |= {"clips": calibration, "split": split, "clips_of_ranges": ranges}
            _say_what_is_measured(split, labelled, ranges)
    beside = Path(out).with_suffix(".report.json")
    try:
        report = export_tflite(
            classifier,
            out,
            quantization,
            clips,
            evaluation=evaluation,
            float_layers=float_layers,
            integer_output=integer_output,
            licence=None if licence is None else Path(licence).read_text(encoding="utf-8"),
        )
    except QuantizationError as error:  # where it errs says what to do
        _report(error.report, {**facts, "refused": str(error)}, beside)
        raise
    print(
        f"Wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB, "
        f"quantization {report.quantization})"
    )
    print(
        f"Probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )
    if report.quantized is None:
        beside.unlink(missing_ok=True)  # that of an earlier file
        return
    content = report.path.read_bytes()
    _report(report.quantized, {**facts, "sha256": hashlib.sha256(content).hexdigest()}, beside)


def _say_what_is_measured(split: str, labelled: bool, ranges: int) -> None:
    taken = f"Taking ranges of {ranges} clips, comparing" if ranges else "Comparing"
    print(f"{taken} on clips of {split}", flush=True)
    if split not in ("test", "val"):
        print(f"The shards have no test or val split: {split} flatters, as it was trained on")
    if not labelled:
        print("The shards have no labels of the network's classes: accuracy cannot be measured")


def _report(report: QuantizationReport, facts: dict[str, Any], path: Path) -> None:
    if facts["clips"] == "generated":
        print("Compared on generated clips: with --calibration SHARDS, on yours")
    print(*report.lines(), sep="\n")
    versions = {"keras_t3d": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    said = {**facts, **versions, **dataclasses.asdict(report)}
    write_text(path, json.dumps(said, indent=2) + "\n")
    print(f"Wrote {path}")
