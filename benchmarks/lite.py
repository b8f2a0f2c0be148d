"""Times a network in LiteRT and OpenVINO, with 8-bit integers, beside other runtimes on one clip.

The others are TensorFlow (the model in a `tf.function`, and folded), PyTorch, ONNX Runtime and
OpenVINO, as in `inference.py`, each in every precision it supports. All have the same weights; the
script compares the logits of each with the twin's before timing it, those of the 8-bit file by
correlation. Of our OpenVINO artifact, `ours_openvino_int8` is its predictor on a view, and
`ours_openvino_int8_video` its graph on a video of twice the frames, of which it takes the view;
`openvino_int8_by_hand` is what NNCF makes of the twin's ONNX file with the same clips. It also
times one 3x3x3 convolution in LiteRT: its own CONV_3D beside the rewritten one, in float32 and 8
bits.

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
    "ours_openvino": "ours_openvino_int8",
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
        for beginning, write in {"ours_": _write_openvino, "openvino_int8": _write_by_hand}.items():
            if any(contender.startswith(beginning) for contender in options.contenders):
                _write_or_print(write, job)
        chosen = {name: _CONTENDERS[name] for name in options.contenders}
        race = turns.race(
            {n: (build, job, *how) for n, (build, *how) in chosen.items()},
            options.rounds,
            _IN_A_ROW,
        )
    ours, of_openvino = race.best("litert_int8"), race.milliseconds.get("ours_openvino_int8")
    return {
        "milliseconds": race.milliseconds,
        "unavailable": race.unavailable,
        "facts": race.facts,
        "bytes": sizes,
        "int8_to_float32_size": turns.ratio(sizes["int8"], sizes["float32"]),
        "by_hand_to_ours_openvino": turns.ratio(race.best("openvino_int8"), of_openvino),
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

    model, clips, sizes = twins.keras_model(job, "float32"), _clips(job), {}
    files: dict[str, Quantization] = {"float32": "none", "int8": "int8"}
    for name, quantization in files.items():
        path = job.folder / f"{name}.tflite"
        sizes[name] = export_tflite(model, path, quantization, clips).num_bytes
    return sizes, int


def _clips(job: twins.Job) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (_CLIPS - 1, *job.input_shape), np.uint8)
    return np.concatenate([twins.clips(job), noise])


def _write_or_print(write: turns.Build, job: twins.Job) -> None:
    try:
        turns.facts_of(write, job)
    except turns.ContenderError as error:
        print(f"{job.model}: {error}")  # those that read the file will be unavailable


def _write_openvino(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    from keras_t3d.deploy import OpenVINOOptions, export_openvino

    model = twins.keras_model(job, "float32")
    export_openvino(model, job.folder / "openvino", _clips(job), options=OpenVINOOptions("int8"))
    return {}, int


def _write_by_hand(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    import nncf
    import openvino

    network = openvino.Core().read_model(job.folder / "model.onnx")
    clips = nncf.Dataset([_normalized(clip[None]) for clip in _clips(job)])
    network = nncf.quantize(network, clips, subset_size=_CLIPS)
    openvino.save_model(network, job.folder / "by_hand.xml")
    return {}, int


def _normalized(clips: np.ndarray) -> np.ndarray:
    """Returns clips (n, 3, frames, height, width) as the twin reads them."""
    from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD

    mean, std = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return np.ascontiguousarray(((clips / np.float32(255) - mean) / std).transpose(0, 4, 1, 2, 3))


def ours_openvino_run(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    """Runs the predictor of our artifact on a view."""
    from keras_t3d.inference.openvino_predictor import OpenVINOPredictor

    predictor, clip = OpenVINOPredictor(job.folder / "openvino", job.threads), twins.clips(job)
    return _ready(job, lambda: predictor.probabilities(clip))


def ours_openvino_video_run(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    """Runs the whole graph of our artifact on a video whose centre view is the clip."""
    from keras_t3d.clips import ClipSpec

    frames = np.repeat(twins.clips(job), 2, axis=1)  # of a clip of every second frame
    short = ClipSpec.for_input_shape(job.input_shape).resize
    missing = short - frames.shape[2], 4 * short // 3 - frames.shape[3]
    borders = [(count // 2, count - count // 2) for count in missing]
    video = np.pad(frames, [(0, 0), (0, 0), *borders, (0, 0)])
    run = _compiled(job, job.folder / "openvino" / "1" / "model.xml", video)
    return _ready(job, lambda: run(video)["probabilities"])


def by_hand_run(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    """Runs what NNCF made of the twin."""
    clip = _normalized(twins.clips(job))
    run = _compiled(job, job.folder / "by_hand.xml", clip)
    return _ready(job, lambda: run(clip)[0], is_logits=True)


def _compiled(job: twins.Job, path: Path, example: np.ndarray) -> Any:
    import openvino

    network = openvino.Core().read_model(path)
    network.reshape({network.input(0): list(example.shape)})
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": job.threads}
    return openvino.compile_model(network, "CPU", settings)


def _ready(
    job: twins.Job, run: turns.Step, is_logits: bool = False
) -> tuple[dict[str, Any], turns.Step]:
    """Warms up; raises ValueError if the logits correlate too little with the twin's.

    Log-probabilities are logits up to a constant.
    """
    for _ in range(_WARM_UP):
        outputs: Any = run()
    logits = outputs[0] if is_logits else np.log(np.maximum(outputs[0], 1e-30))
    correlation = float(np.corrcoef(logits, np.load(job.folder / "logits.npy")[0])[0, 1])
    if not correlation >= _LEAST_CORRELATION:
        raise ValueError(f"its logits correlate with the twin's by {correlation:.3f} only")
    return {"correlation": correlation}, run


def litert_run(job: twins.Job, name: str) -> tuple[dict[str, Any], turns.Step]:
    """Runs one of the two files."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(job.folder / f"{name}.tflite"), num_threads=job.threads)
    interpreter.allocate_tensors()
    (clip,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(clip["index"], twins.clips(job))

    def run() -> np.ndarray:
        interpreter.invoke()
        return interpreter.get_tensor(found["index"])

    return _ready(job, run)


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
    "ours_openvino_int8": (ours_openvino_run,),
    "ours_openvino_int8_video": (ours_openvino_video_run,),
    "openvino_int8_by_hand": (by_hand_run,),
    **inference.CONTENDERS,
}

if __name__ == "__main__":
    main()
