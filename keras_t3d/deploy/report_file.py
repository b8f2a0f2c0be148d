"""Writes the report of a quantization beside its file, and tells what it was measured on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.atomic import write_text
from keras_t3d.deploy.quantization_report import QuantizationReport
from keras_t3d.version import __version__


def describe_evaluation(
    split: str, is_labelled: bool, num_ranges: int, notify: Callable[[str], None]
) -> None:
    """Tells which clips of shards ranges and measurements are taken from."""
    ranges = f"Taking ranges of {num_ranges} clips, comparing" if num_ranges else "Comparing"
    notify(f"{ranges} on clips of {split}")
    if split not in ("test", "val"):
        notify(f"The shards have no test or val split: {split} is optimistic, as training data")
    if not is_labelled:
        notify("The shards have no labels of the model's classes: accuracy is not measured")


def write_report(
    report: QuantizationReport, facts: dict[str, Any], path: Path, notify: Callable[[str], None]
) -> None:
    """Writes a report with what it is about, and passes its lines to `notify`."""
    if facts["clips"] == "generated":
        notify("Compared on generated clips; with calibration shards, on yours")
    for line in report.lines():
        notify(line)
    versions = {"keras_t3d": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    values = {**facts, **versions, **dataclasses.asdict(report)}
    write_text(path, json.dumps(values, indent=2) + "\n")
    notify(f"Wrote {path}")
