"""Exports a trained network as a LiteRT (.tflite) file."""

from __future__ import annotations

from keras_t3d.deploy import export_tflite
from keras_t3d.export.calibration import first_clips
from keras_t3d.inference.load import load_keras_model


def main(model: str, out: str, quantization: str = "none", calibration: str | None = None) -> None:
    """Writes the file and prints what was written.

    Args:
        model: `.keras` file of a trained network.
        out: the `.tflite` file to write; one that exists is replaced.
        quantization: `"none"` (float32) or `"float16"`. Defaults to `"none"`.
        calibration: folder of clip shards, whose first clips are compared on; None
            compares on made clips. Defaults to `None`.

    Raises:
        ValueError: if `model` is no such file, or an option is out of its range.

    Example:

    ```python
    main("runs/a/best.keras", "t3d.tflite", quantization="float16")
    ```
    """
    classifier = load_keras_model(model)
    clips = None if calibration is None else first_clips(calibration, classifier.clip_spec)
    report = export_tflite(classifier, out, quantization, clips)
    print(
        f"Wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB, "
        f"quantization {report.quantization})"
    )
    print(
        f"Probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )
