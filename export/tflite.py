"""Exports a trained network as a LiteRT (.tflite) file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_t3d.atomic import write_text
from keras_t3d.deploy import export_tflite
from keras_t3d.deploy.litert import CALIBRATION_CLIPS
from keras_t3d.export.calibration import first_clips, held_out_clips
from keras_t3d.inference.load import load_keras_model


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
    clips = evaluation = split = None
    if calibration is not None:
        clips = first_clips(calibration, spec, CALIBRATION_CLIPS)
        if quantization in ("dynamic", "int8"):
            ranges = quantization == "int8"
            split, evaluation = held_out_clips(
                calibration, spec, classifier.class_names, report_clips
            )
            taken = f"Taking ranges of {len(clips)} clips, comparing" if ranges else "Comparing"
            print(f"{taken} on clips of {split}", flush=True)
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
    print(
        f"Wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB, "
        f"quantization {report.quantization})"
    )
    print(
        f"Probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )
    beside = report.path.with_suffix(".report.json")
    if report.quantized is None:
        beside.unlink(missing_ok=True)  # that of an earlier file
        return
    print(*report.quantized.lines(), sep="\n")
    write_text(beside, report.quantized.to_json())
    print(f"Wrote {beside}")
