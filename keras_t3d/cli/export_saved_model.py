"""Exports a trained network as the next version of a served SavedModel."""

from __future__ import annotations

from keras_t3d.deploy import export_saved_model
from keras_t3d.deploy.calibration import first_clips
from keras_t3d.inference.load import load_keras_model


def main(
    model: str, out: str, calibration: str | None = None, *, frozen: bool | None = None
) -> None:
    """Writes OUT/1, or the next number, and prints what was written.

    Args:
        model: `.keras` file of a trained network.
        out: folder of the versions, which TF Serving watches.
        calibration: folder of clip shards, whose first clips are compared on; None
            compares on made clips. Defaults to `None`.
        frozen: see `export_saved_model`. Defaults to `None`.

    Raises:
        ValueError: if `model` is no such file, or `out` is a file.

    Example:

    ```python
    main("runs/a/best.keras", "serving/t3d")
    ```
    """
    classifier = load_keras_model(model)
    clips = None if calibration is None else first_clips(calibration, classifier.clip_spec)
    report = export_saved_model(classifier, out, clips, frozen=frozen)
    weights = "frozen into the graph" if report.frozen else "in variables"
    print(f"Wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB, weights {weights})")
    print(
        f"Probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )
