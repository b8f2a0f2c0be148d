"""Times implementations of a convolution that `keras_t3d.layers.operations` chooses from on CPU.

Each is timed for the forward pass, and for a step of forward and both gradients, in float32 and
bfloat16. The script first checks that all have equal outputs, then times them in turns. `chosen`
is the one that `convolve` uses. A grouped convolution (ResNeXt's 32 groups of 8 channels) is
compared with a dense one by the time per multiply-add.

    python benchmarks/convolution.py --threads 2
    python benchmarks/convolution.py --quick
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import turns

from keras_t3d.layers.operations import convolution

DTYPES = {"float32": 1e-4, "bfloat16": 5e-2}  # and how far two ways may be from each other
Way = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A convolution: shapes of clips and kernel, strides, and its implementations."""

    clips: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, int, int]
    ways: Mapping[str, Way]

    @property
    def multiplications(self) -> int:
        """Returns multiply-adds of the forward pass, including those with zero padding."""
        sides = self.clips[1:4]
        outputs = [-(-side // stride) for side, stride in zip(sides, self.strides, strict=True)]
        return self.clips[0] * math.prod(outputs) * math.prod(self.kernel)


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    options = _options(argv)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    machine = turns.machine()
    cases = _cases(options.quick)
    times = {
        f"{name} {dtype}": _measure(case, dtype, options.repeats)
        for name, case in cases.items()
        for dtype in DTYPES
    }
    work = cases["grouped"].multiplications / cases["dense"].multiplications
    result = {
        "threads": options.threads,
        "repeats": options.repeats,
        "machine": machine,
        "shapes": {name: [case.clips, case.kernel, case.strides] for name, case in cases.items()},
        "milliseconds": times,
        "grouped_to_dense_per_multiply_add": {
            dtype: turns.ratio(
                times[f"grouped {dtype}"]["step"]["chosen"],
                times[f"dense {dtype}"]["step"]["chosen"] * work,
            )
            for dtype in DTYPES
        },
    }
    _print_table(result)
    print(json.dumps(result))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small clips, 2 repeats")
    options = parser.parse_args(argv)
    options.repeats = 2 if options.quick else options.repeats
    return options


def _cases(quick: bool) -> dict[str, Case]:
    """Returns shapes of T3D-121 and ResNet3D-50 at 16x112x112, two clips; smaller if quick."""
    side, stem_side, batch = (4, 16, 1) if quick else (28, 112, 2)
    half = side // 2
    conv_3d: Way = convolution._pad_and_convolve
    frames: Way = convolution._convolve_frames
    by_taps = _of_stride_one(convolution._convolve_by_taps)
    product = _of_stride_one(convolution._matrix_product)
    stacked: Way = convolution._convolve_stacked_frames
    in_place = {"conv_3d": conv_3d, "frames": frames, "by_taps": by_taps}
    one = (1, 1, 1)
    return {
        "3x3x3": Case((batch, 8, side, side, 128), (3, 3, 3, 128, 32), one, in_place),
        "4x3x3 over 2 frames": Case(
            (batch, 2, half, half, 256), (4, 3, 3, 256, 128), one, in_place
        ),
        "1x1x1": Case(
            (batch, 8, side, side, 256),
            (1, 1, 1, 256, 128),
            one,
            {"conv_3d": conv_3d, "matrix_product": product},
        ),
        "7x7x7 stem": Case(
            (batch, 16, stem_side, stem_side, 3),
            (7, 7, 7, 3, 64),
            (1, 2, 2),
            {"conv_3d": conv_3d, "frames": frames, "stacked_frames": stacked},
        ),
        "grouped": Case((batch, 8, side, side, 256), (3, 3, 3, 8, 256), one, {}),
        "dense": Case((batch, 8, side, side, 256), (3, 3, 3, 256, 256), one, {"conv_3d": conv_3d}),
    }


def _of_stride_one(way: Way) -> Way:
    return lambda clips, kernel, _: way(clips, kernel)


def _measure(case: Case, dtype: str, repeats: int) -> dict[str, dict[str, float]]:
    """Returns milliseconds of each implementation, for the forward pass and for a step."""
    random = np.random.default_rng(0)
    clips = tf.cast(random.normal(size=case.clips), dtype)
    kernel = tf.cast(0.01 * random.normal(size=case.kernel), dtype)
    ways = {"chosen": convolution.convolve, **case.ways}
    forward = {
        name: _bound(_forward(way, case.strides), clips, kernel) for name, way in ways.items()
    }
    step = {name: _bound(_step(way, case.strides), clips, kernel) for name, way in ways.items()}
    for runs in (forward, step):
        _check_equal(runs, DTYPES[dtype])
    return {"forward": _time_in_turns(forward, repeats), "step": _time_in_turns(step, repeats)}


def _forward(way: Way, strides: tuple[int, ...]) -> Way:
    return tf.function(lambda clips, kernel: (way(clips, kernel, strides),))


def _step(way: Way, strides: tuple[int, ...]) -> Way:
    @tf.function
    def step(clips: Any, kernel: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((clips, kernel))
            y = way(clips, kernel, strides)
        return (y, *tape.gradient(y, (clips, kernel), y))

    return step


def _bound(function: Way, clips: Any, kernel: Any) -> Callable[[], Any]:
    return lambda: function(clips, kernel)


def _check_equal(runs: Mapping[str, Callable[[], Any]], limit: float) -> None:
    expected = [tf.cast(tensor, tf.float32) for tensor in runs["chosen"]()]
    for name, run in runs.items():
        for one, other in zip(run(), expected, strict=True):
            error = tf.reduce_max(tf.abs(tf.cast(one, tf.float32) - other))
            if error > limit * tf.reduce_max(tf.abs(other)):
                raise SystemExit(f"{name} does not give what the chosen way gives: {error:.1e}")


def _time_in_turns(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median of each in milliseconds, after one discarded run."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(float(np.median(all_[1:])), 3) for name, all_ in times.items()}


def _print_table(result: dict[str, Any]) -> None:
    for case, kinds in result["milliseconds"].items():
        for kind, ways in kinds.items():
            columns = "  ".join(f"{way} {time:.2f}" for way, time in ways.items())
            print(f"{case:30} {kind:8} {columns}  ms")
    print("grouped to dense, per multiply-add:", result["grouped_to_dense_per_multiply_add"])


if __name__ == "__main__":
    main()
