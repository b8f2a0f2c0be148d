"""Exports a trained network as a LiteRT (.tflite) file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_t3d.clips import ClipSpec
from keras_t3d.data import load_clips
from keras_t3d.deploy import export_tflite
from keras_t3d.export.saved_model import load_classifier

_CALIBRATION_CLIPS = 16


def main(model: str, out: str, quantization: str = "none", calibration: str | None = None) -> None:
    """Writes the file and prints what was written.

    Args:
        model: `.keras` file of a trained network.
        out: the `.tflite` file to write; one that exists is replaced.
        quantization: `"none"` (float32) or `"float16"`. Defaults to `"none"`.
        calibration: folder of clip shards, the first clips of whose training split
            are compared on; None compares on made clips. Defaults to `None`.

    Raises:
        ValueError: if `model` is no such file, or an option is out of its range.

    Example:

    ```python
    main("runs/t3d/model.keras", "t3d.tflite", quantization="float16")
    ```
    """
    classifier = load_classifier(model)
    clips = None if calibration is None else _first_clips(calibration, classifier.clip_spec)
    report = export_tflite(classifier, out, quantization, clips)
    print(
        f"wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB, "
        f"quantization {report.quantization})"
    )
    print(
        f"probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )


def _first_clips(shards: str, spec: ClipSpec) -> Iterator[Any]:
    batches = load_clips(shards, split="train", spec=spec, batch_size=_CALIBRATION_CLIPS)
    for clips, _ in batches.take(1):
        yield clips
