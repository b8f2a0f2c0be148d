"""Exports a model as a SavedModel for TF Serving.

    python export/saved_model.py runs/a/model.keras serving/t3d

`keras-t3d export saved-model` has more options.
"""

from __future__ import annotations

import argparse

import keras_t3d  # noqa: F401 - before Keras, as it turns on oneDNN

# isort: split
import keras

from keras_t3d.deploy import export_saved_model


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a model as a SavedModel.")
    parser.add_argument("model", help=".keras file")
    parser.add_argument("directory", help="folder of the model's versions, for TF Serving")
    arguments = parser.parse_args()

    model = keras.saving.load_model(arguments.model, compile=False)
    # Writes the next version, and compares its predictions with those of Keras.
    report = export_saved_model(model, arguments.directory)
    print("\n".join(report.lines()))


if __name__ == "__main__":
    main()
