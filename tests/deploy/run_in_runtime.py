"""Runs `.tflite` files in an old runtime: `python run_in_runtime.py FOLDER`, with tflite-runtime.

Reads `clips.npy` and every `.tflite` file of the folder, and writes `NAME.npy` beside each.
"""

import pathlib
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter

folder = pathlib.Path(sys.argv[1])
clips = np.load(folder / "clips.npy")
for path in folder.glob("*.tflite"):
    run = Interpreter(str(path)).get_signature_runner()
    np.save(
        path.with_suffix(".npy"),
        np.concatenate([run(clip=clip[None])["probabilities"] for clip in clips]),
    )
