"""Exports a model as a .tflite file for LiteRT.

    python export/tflite.py runs/a/model.keras t3d.tflite --quantization int8 --shards shards

`keras-t3d export tflite` has more options.
"""

from __future__ import annotations

import argparse

import keras_t3d  # before Keras, as it turns on oneDNN

# isort: split
import keras
import numpy as np

from keras_t3d.deploy import export_tflite

CALIBRATION_CLIPS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a model as a .tflite file.")
    parser.add_argument("model", help=".keras file")
    parser.add_argument("path", help=".tflite file to write")
    parser.add_argument(
        "--quantization", default="none", choices=("none", "float16", "dynamic", "int8")
    )
    parser.add_argument("--shards", help="shards with typical clips, for int8")
    arguments = parser.parse_args()
    if arguments.quantization == "int8" and arguments.shards is None:
        parser.error("--quantization int8 needs --shards")

    model = keras.saving.load_model(arguments.model, compile=False)
    calibration = None
    if arguments.shards is not None:  # training clips, from which int8 takes value ranges
        clips = keras_t3d.data.load_clips(
            arguments.shards, "train", model.clip_spec, batch_size=8, labelled=False
        )
        batches = clips.unbatch().batch(1).take(CALIBRATION_CLIPS)
        calibration = np.concatenate([batch["clips"].numpy() for batch in batches])
    # Writes the file, and compares its predictions with those of Keras.
    report = export_tflite(model, arguments.path, arguments.quantization, calibration)
    print("\n".join(report.lines()))


if __name__ == "__main__":
    main()
