"""Measures what a process keeps of repeated predictions, reloads and exports: nothing, if right.

python benchmarks/memory.py --repeats 100
python benchmarks/memory.py --quick
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import turns

import keras_t3d
from keras_t3d import deploy, inference

_SHAPE = (8, 32, 32, 3)
_WARM_UP = 3  # repetitions before the first measurement: allocators and caches fill


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--only", nargs="+", help="beginnings of the names of what to measure")
    parser.add_argument("--quick", action="store_true", help="2 repetitions")
    options = parser.parse_args(argv)
    repeats = 2 if options.quick else options.repeats
    tf.get_logger().setLevel("ERROR")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, repeat in _measured(pathlib.Path(folder)).items():
            if options.only and not name.startswith(tuple(options.only)):
                continue
            results[name] = _growth(repeat, repeats)
            print(f"{name}: {results[name]}", flush=True)
    print(json.dumps({"machine": turns.machine(), "repetitions": repeats, "results": results}))


def _measured(folder: pathlib.Path) -> dict[str, Callable[[], object]]:
    """Returns what to repeat, by name. The weights of the network have 13 MB."""
    model = keras_t3d.models.ResNet3D(
        _SHAPE, 5, block="basic", stage_blocks=(1, 1, 1), stage_filters=(64, 128, 256)
    )
    model.save(folder / "model.keras")
    deploy.export_saved_model(model, folder / "served")
    deploy.export_tflite(model, folder / "model.tflite")
    clips = np.zeros((1, *_SHAPE), np.uint8)

    def load(path: str) -> Callable[[], object]:
        return lambda: inference.load_predictor(folder / path).probabilities(clips)

    def export(frozen: bool) -> None:
        options = deploy.SavedModelOptions(frozen=frozen)
        deploy.export_saved_model(model, folder / "again", options=options)
        shutil.rmtree(folder / "again")

    return {
        "predict with a model in memory": lambda: inference.load_predictor(model).probabilities(
            clips
        ),
        "load .keras and predict": load("model.keras"),
        "load SavedModel and predict": load("served"),
        "load .tflite and predict": load("model.tflite"),
        "export SavedModel, folded": lambda: export(True),
        "export SavedModel, variables": lambda: export(False),
        "export .tflite": lambda: deploy.export_tflite(model, folder / "again.tflite"),
    }


def _growth(repeat: Callable[[], object], repeats: int) -> dict[str, float]:
    for _ in range(_WARM_UP):
        repeat()
    before, start = _resident(), time.perf_counter()
    for _ in range(repeats):
        repeat()
    seconds = (time.perf_counter() - start) / repeats
    return {
        "MB per repetition": round((_resident() - before) / repeats, 3),
        "seconds per repetition": round(seconds, 3),
    }


def _resident() -> float:
    """Returns the memory of the process in MB, without what only waits to be collected."""
    gc.collect()
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
