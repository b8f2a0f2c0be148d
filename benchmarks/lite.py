"""Times a network in LiteRT, with 8-bit integers and float32, beside other runtimes on one clip.

The others are TensorFlow (the model in a `tf.function`, and folded), PyTorch, ONNX Runtime and
OpenVINO, as in `inference.py`, each in every precision it supports. All have the same weights; the
script compares the logits of each with the twin's before timing it, those of the 8-bit file by
correlation. It also times one 3x3x3 convolution in LiteRT: its own CONV_3D beside the rewritten
one, in float32 and 8 bits.

    python benchmarks/lite.py
    python benchmarks/lite.py --models t3d_121 --rounds 25
    python benchmarks/lite.py --quick
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import inference
import numpy as np
import turns
import twins

_WARM_UP = 3  # runs
_IN_A_ROW = 5  # runs of a turn, as windows of a video follow each other
_CLIPS = 8  # that ranges are taken from, the timed one among them
_LEAST_CORRELATION = 0.97
# The best of those that begin so is compared with the 8-bit file.
_RIVALS = {
    "openvino": "openvino_",
    "tensorflow_float32": "keras_float32",
    "torch_float32": "torch_float32",
    "torch": "torch_",
    "onnxruntime": "onnxruntime_",
    "litert_float32": "litert_float32",
}


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options = twins.options(
        parser, [*_CONTENDERS], argv, ("t3d_121", "resnet3d_50", "resnext3d_50")
    )
    machine = turns.machine()
    convolution = _measure_convolution(options)
    turns.print_table("one 3x3x3 convolution to 32 filters", convolution)
    models = {}
    for name in options.models:  # minutes each: told one by one
        models[name] = _measure(name, options)
        turns.print_table(name, models[name])
    result = {
        "input_shape": options.input_shape,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine,
        "convolution": convolution,
        "models": models,
    }
    print(json.dumps(result))


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        job = twins.Job(Path(folder), name, options.input_shape, 1, options.threads)
        turns.facts_of(inference.write, job)
        if any(contender.startswith(inference.READ_ONNX) for contender in options.contenders):
            inference.export(job)
        sizes = turns.facts_of(_write_lite, job)
        chosen = {name: _CONTENDERS[name] for name in options.contenders}
        race = turns.race(
            {n: (build, job, *how) for n, (build, *how) in chosen.items()},
            options.rounds,
            _IN_A_ROW,
        )
    ours = race.best("litert_int8")
    return {
        "milliseconds": race.milliseconds,
        "unavailable": race.unavailable,
        "facts": race.facts,
        "bytes": sizes,
        "int8_to_float32_size": turns.ratio(sizes["int8"], sizes["float32"]),
        # Their time to ours: above 1, ours is the faster.
        **{
            f"{rival}_to_int8": turns.ratio(race.best(beginning), ours)
            for rival, beginning in _RIVALS.items()
        },
    }


def _measure_convolution(options: argparse.Namespace) -> dict[str, Any]:
    shape = (4, 7, 7, 16) if options.quick else (8, 28, 28, 128)
    with tempfile.TemporaryDirectory() as folder:
        turns.facts_of(_write_convolutions, folder, shape)
        entries = {
            kind: (_convolution_run, folder, kind, options.threads)
            for kind in ("conv_3d", "rewritten", "rewritten_int8")
        }
        race = turns.race(entries, options.rounds, _IN_A_ROW)
    times = race.milliseconds
    return {
        "input_shape": shape,
        "milliseconds": times,
        "unavailable": race.unavailable,
        "conv_3d_to_rewritten": turns.ratio(times.get("conv_3d"), times.get("rewritten")),
        "conv_3d_to_int8": turns.ratio(times.get("conv_3d"), times.get("rewritten_int8")),
    }


# What the contenders' processes run.


def _write_lite(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    """Writes both files; returns their sizes."""
    from keras_t3d.deploy import export_tflite
    from keras_t3d.deploy.options import Quantization

    model = twins.keras_model(job, "float32")
    noise = np.random.default_rng(1).integers(0, 256, (_CLIPS - 1, *job.input_shape), np.uint8)
    clips = np.concatenate([twins.clips(job), noise])
    sizes = {}
    files: dict[str, Quantization] = {"float32": "none", "int8": "int8"}
    for name, quantization in files.items():
        path = job.folder / f"{name}.tflite"
        sizes[name] = export_tflite(model, path, quantization, clips).num_bytes
    return sizes, int


def litert_run(job: twins.Job, name: str) -> tuple[dict[str, Any], turns.Step]:
    """Runs one of the two files; log-probabilities are logits up to a constant."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(job.folder / f"{name}.tflite"), num_threads=job.threads)
    interpreter.allocate_tensors()
    (clip,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(clip["index"], twins.clips(job))
    for _ in range(_WARM_UP):
        interpreter.invoke()
    answers = np.log(np.maximum(interpreter.get_tensor(found["index"])[0], 1e-30))
    correlation = float(np.corrcoef(answers, np.load(job.folder / "logits.npy")[0])[0, 1])
    if not correlation >= _LEAST_CORRELATION:
        raise ValueError(f"its logits correlate with the twin's by {correlation:.3f} only")
    return {"correlation": correlation}, interpreter.invoke


def _write_convolutions(folder: str, shape: tuple[int, ...]) -> tuple[dict[str, Any], turns.Step]:
    import keras
    import tensorflow as tf

    from keras_t3d.deploy.convolution import Convolution
    from keras_t3d.deploy.convolution_2d import add_taps, join_frames

    kernel = keras.initializers.GlorotUniform(0)((3, 3, 3, shape[-1], 32))
    kernel = keras.ops.convert_to_numpy(kernel)
    convolution = Convolution(kernel, padding="same")
    forms = {
        "conv_3d": lambda x: tf.nn.conv3d(x[None], kernel, (1,) * 5, "SAME"),
        "rewritten": lambda x: add_taps(x, convolution),
        "rewritten_int8": lambda x: join_frames(x, convolution),
    }
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for name, form in forms.items():
        function = tf.function(form, input_signature=[tf.TensorSpec(shape, tf.float32)])
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], tf.Module()
        )
        if name.endswith("int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: [[x]]
            converter.inference_input_type = converter.inference_output_type = tf.int8
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        (Path(folder) / f"{name}.tflite").write_bytes(converter.convert())
    return {}, int


def _convolution_run(folder: str, name: str, threads: int) -> tuple[dict[str, Any], turns.Step]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(Path(folder) / f"{name}.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    for _ in range(_WARM_UP):
        interpreter.invoke()
    return {}, interpreter.invoke


_CONTENDERS: dict[str, tuple[Any, ...]] = {
    "litert_int8": (litert_run, "int8"),
    "litert_float32": (litert_run, "float32"),
    **inference.CONTENDERS,
}

if __name__ == "__main__":
    main()
