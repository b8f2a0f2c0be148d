"""Exports a trained network as the next version of a served SavedModel."""

from __future__ import annotations

from pathlib import Path

import keras

from keras_t3d.deploy import export_saved_model
from keras_t3d.models import VideoClassifier


def main(model: str, out: str) -> None:
    """Writes OUT/1, or the next number, and prints what was written.

    Args:
        model: `.keras` file of a trained network.
        out: folder of the versions, which TF Serving watches.

    Raises:
        ValueError: if `model` is no such file, or `out` is a file.

    Example:

    ```python
    main("runs/t3d/model.keras", "serving/t3d")
    ```
    """
    report = export_saved_model(load_classifier(model), out)
    print(f"wrote {report.path}  ({report.num_bytes / 1e6:.1f} MB)")
    print(
        f"probabilities of {report.num_clips} clips differ from the Keras model's by "
        f"{report.largest_difference:.1e} at most"
    )


def load_classifier(path: str) -> VideoClassifier:
    """Reads the network from its `.keras` file, or says in one line why it cannot."""
    if not Path(path).is_file() or Path(path).suffix != ".keras":
        raise ValueError(
            "`model` must be the .keras file of a trained network, for example "
            f"runs/t3d/model.keras. Received: {path}"
            f"{'' if Path(path).exists() else ', which does not exist'}"
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises what its parts raise: zip, JSON, HDF5 errors
        first_line = str(error).strip().partition("\n")[0]
        raise ValueError(f"Keras cannot read {path}: {first_line}") from error
    if not isinstance(model, VideoClassifier):
        raise ValueError(
            "`model` must hold a network of this package, a keras_t3d.models.VideoClassifier, "
            f"which knows its clips and class names. Received: {path}, "
            f"which holds a {type(model).__name__}"
        )
    return model
