"""Exports `.keras` files in formats of floats, whose artifacts are compared on a few clips."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from keras_t3d.deploy.calibration import first_clips
from keras_t3d.deploy.comparison import NUM_CLIPS, ExportReport
from keras_t3d.models.load import load_keras_model

R = TypeVar("R", bound=ExportReport)


def export_file(
    export: Callable[..., R],
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    calibration: str | os.PathLike[str] | None,
    options: Any,
    notify: Callable[[str], None],
) -> R:
    """Exports a `.keras` file, and passes the lines of the report to `notify`.

    Args:
        export: function of a model in memory, such as `export_saved_model`.
        model: path of the `.keras` file.
        out: path to write.
        calibration: folder of shards to compare on; None compares on generated clips.
        options: options of `export`; None for the defaults.
        notify: called with each line.
    """
    network = load_keras_model(model)
    clips = None
    if calibration is not None:
        clips = first_clips(calibration, network.clip_spec, NUM_CLIPS)
    report = export(network, out, clips, options=options)
    for line in report.lines():
        notify(line)
    return report
