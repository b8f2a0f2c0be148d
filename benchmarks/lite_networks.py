"""Times the 8-bit files of several networks on one clip, in turns in one process.

    python benchmarks/lite_networks.py
    python benchmarks/lite_networks.py --models t3d_121 t3d_lite0 t3d_lite2 --rounds 25

Weights are random, and ranges are taken from noise: neither changes the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import turns

_NUM_CLASSES = 400
_WARM_UP = 3  # runs


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["t3d_121", "t3d_lite0"])
    parser.add_argument("--input-shape", type=int, nargs=4, default=(16, 112, 112, 3))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            name: _export(name, tuple(options.input_shape), Path(folder)) for name in options.models
        }
        sizes = {name: path.stat().st_size for name, path in paths.items()}
        interpreters = {name: _interpreter(path, options.threads) for name, path in paths.items()}
        times: dict[str, list[float]] = {name: [] for name in interpreters}
        for round_number in range(_WARM_UP + options.rounds):
            for name, interpreter in interpreters.items():
                start = time.perf_counter()
                interpreter.invoke()
                if round_number >= _WARM_UP:
                    times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = medians[options.models[0]]
    rows = {
        name: {
            "milliseconds": round(1000 * median, 2),
            "ratio": round(median / first, 3),
            "megabytes": round(sizes[name] / 1e6, 2),
        }
        for name, median in medians.items()
    }
    for name, row in rows.items():
        print(f"{name:14} {row}")
    print(
        json.dumps(
            {
                "input_shape": list(options.input_shape),
                "threads": options.threads,
                "rounds": options.rounds,
                "machine": turns.machine(),
                "networks": rows,
            }
        )
    )


def _export(name: str, input_shape: tuple[int, ...], folder: Path) -> Path:
    from keras_t3d import models
    from keras_t3d.deploy import TFLiteOptions, export_tflite

    network = models.create(name, input_shape, num_classes=_NUM_CLASSES)
    noise = np.random.default_rng(0).integers(0, 256, (4, *input_shape), dtype=np.uint8)
    path = folder / f"{name}.tflite"
    export_tflite(network, path, calibration=noise, options=TFLiteOptions(quantization="int8"))
    return path


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    return interpreter


if __name__ == "__main__":
    main()
