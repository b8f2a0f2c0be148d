"""Times a network in LiteRT, rewritten with 2-D operations, beside the same one in TensorFlow.

Also one 3x3x3 convolution in LiteRT: its own CONV_3D beside the folded one. All
run on the same number of threads, in turns, so that what else the machine does
falls on all of them; the table gives medians.

    python benchmarks/lite.py --model t3d_121 --threads 2
    python benchmarks/lite.py --quick
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ai_edge_litert
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_t3d
from keras_t3d.deploy import export_tflite
from keras_t3d.deploy.lowering import lower

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    options = _options(argv)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    name = "t3d_tiny" if options.quick else options.model
    input_shape = (16, 32, 32, 3) if options.quick else (16, 112, 112, 3)
    conv_shape = (4, 7, 7, 16) if options.quick else (8, 28, 28, 128)
    repeats = 3 if options.quick else options.repeats

    network = _time_in_turns(_network_runs(name, input_shape, options.threads), repeats)
    conv = _time_in_turns(_convolution_runs(conv_shape, options.threads), repeats)
    result = {
        "model": name,
        "input_shape": input_shape,
        "convolution_input": conv_shape,
        "threads": options.threads,
        "repeats": repeats,
        "machine": _machine(),
        "milliseconds": {**network, **conv},
        "litert_to_tensorflow": network["litert"] / network["tensorflow"],
        "conv_folded_to_conv_3d": conv["conv_folded"] / conv["conv_3d"],
    }
    _print_table(result)
    print(json.dumps(result))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="t3d_121", choices=keras_t3d.models.list_models())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="t3d_tiny, 3 repeats")
    return parser.parse_args(argv)


def _network_runs(
    name: str, input_shape: tuple[int, ...], threads: int
) -> dict[str, Callable[[], object]]:
    model = keras_t3d.models.create(name, input_shape=input_shape, num_classes=400)
    clips = np.random.default_rng(0).integers(0, 256, (1, *input_shape), np.uint8)
    in_tensorflow = tf.function(lambda clip: tf.nn.softmax(model(clip, training=False)))
    clip = tf.constant(clips)
    with tempfile.TemporaryDirectory() as folder:
        report = export_tflite(model, Path(folder) / "model.tflite", calibration=clips)
        content = report.path.read_bytes()
    print(f"{name}: {report.num_bytes / 1e6:.1f} MB, differs by {report.largest_difference:.1e}")
    return {
        "litert": _litert_run(content, clips, threads),
        "tensorflow": lambda: in_tensorflow(clip).numpy(),
    }


def _convolution_runs(shape: tuple[int, ...], threads: int) -> dict[str, Callable[[], object]]:
    """A 3x3x3 convolution to 32 channels: as LiteRT has it, and folded."""
    inputs = keras.Input(shape)
    conv = keras.layers.Conv3D(32, 3, padding="same", use_bias=False)
    fold = lower(keras.Model(inputs, conv(inputs)))
    kernel = keras.ops.convert_to_numpy(conv.kernel)
    forms = {
        "conv_3d": lambda x: tf.nn.conv3d(x, kernel, (1,) * 5, "SAME"),
        "conv_folded": lambda x: fold(x[0]),
    }
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    runs = {}
    for name, form in forms.items():
        function = tf.function(form, input_signature=[tf.TensorSpec(x.shape, tf.float32)])
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], tf.Module()
        )
        runs[name] = _litert_run(converter.convert(), x, threads)
    return runs


def _litert_run(content: bytes, x: np.ndarray, threads: int) -> Callable[[], object]:
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    return interpreter.invoke


def _time_in_turns(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median time of each in milliseconds, after two runs to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(float(np.median(all_[2:])), 3) for name, all_ in times.items()}


def _machine() -> dict[str, object]:
    cpu = Path("/proc/cpuinfo")  # Linux only
    flags = cpu.read_text().split() if cpu.exists() else []
    return {
        "machine": platform.machine(),
        "cpu_flags": [flag for flag in _FLAGS if flag in flags],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "ai_edge_litert": ai_edge_litert.__version__,
        "keras_t3d": keras_t3d.__version__,
    }


def _print_table(result: dict[str, Any]) -> None:
    for name, milliseconds in result["milliseconds"].items():
        print(f"{name:16} {milliseconds:10.2f} ms")
    for name in ("litert_to_tensorflow", "conv_folded_to_conv_3d"):
        print(f"{name:24} {result[name]:6.3f}")
    print(f"threads {result['threads']}  {result['machine']}")


if __name__ == "__main__":
    main()
