"""Times inference on one clip: our networks, PyTorch twins, ONNX Runtime and OpenVINO.

Ours are the model in a `tf.function` and the folded graph that a SavedModel ships, on clips with
values 0..255; the others read clips that are already normalized. PyTorch runs in channels_last_3d
with and without autocast to bfloat16 and `torch.compile`, which may freeze weights; ONNX Runtime
and OpenVINO run the twin's ONNX file. All have the same weights; the script compares the logits of
each with the twin's before timing it.

    python benchmarks/inference.py
    python benchmarks/inference.py --models t3d_121 --rounds 20 --skip-compile
    python benchmarks/inference.py --quick
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import turns
import twins

_WARM_UP = 3  # runs


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options = twins.options(parser, list(CONTENDERS), argv, ("t3d_121", "resnet3d_50"))
    machine = turns.machine()
    models = {name: _measure(name, options) for name in options.models}
    result = {
        "input_shape": options.input_shape,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine,
        "models": models,
    }
    for name, of_model in models.items():
        turns.print_table(name, of_model)
    print(json.dumps(result))


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    chosen = {contender: CONTENDERS[contender] for contender in options.contenders}
    with tempfile.TemporaryDirectory() as folder:
        job = twins.Job(Path(folder), name, options.input_shape, 1, options.threads)
        turns.facts_of(write, job)
        if any(contender.startswith(READ_ONNX) for contender in chosen):
            export(job)
        entries = {n: (build, job, *how) for n, (build, *how) in chosen.items()}
        race = turns.race(entries, options.rounds)
    return {
        "milliseconds": race.milliseconds,
        "unavailable": race.unavailable,
        "logits_difference": {name: facts["difference"] for name, facts in race.facts.items()},
        **_ratios(race),
    }


def export(job: twins.Job) -> None:
    """Writes the twin's ONNX file; returns the reason if that fails."""
    try:
        turns.facts_of(_write_onnx, job)
    except turns.ContenderError as error:
        print(f"{job.model}: no ONNX file, {error}")  # those that read it will be unavailable


def _ratios(race: turns.Race) -> dict[str, float | None]:
    """Returns the time of others relative to ours: above 1, ours is faster."""
    ours_float32, ours = race.best("keras_float32"), race.best("keras_")
    return {
        "torch_to_keras_float32": turns.ratio(race.best("torch_float32"), ours_float32),
        "torch_to_keras_best": turns.ratio(race.best("torch_"), ours),
        "onnxruntime_to_keras_float32": turns.ratio(race.best("onnxruntime_float32"), ours_float32),
        "openvino_to_keras_float32": turns.ratio(race.best("openvino_float32"), ours_float32),
        "openvino_to_keras_best": turns.ratio(race.best("openvino_"), ours),
    }


# What the contenders' processes run.


def write(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    """Writes weights and clips."""
    twins.write(job)
    return {}, int


def _write_onnx(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    import torch

    network = twins.torch_network(job).eval()
    clips = twins.torch_clips(job).contiguous()
    torch.onnx.export(network, (clips,), job.folder / "model.onnx", dynamo=True, verbose=False)
    return {}, int


def keras_run(job: twins.Job, precision: str, folded: bool) -> tuple[dict[str, Any], turns.Step]:
    """Runs our network, plain or folded."""
    import numpy as np
    import tensorflow as tf

    model = twins.keras_model(job, precision)
    if folded:
        from keras_t3d.deploy.folding import fold

        network = tf.function(fold(model))
    else:
        network = tf.function(lambda clips: model(clips, training=False))
    clips = tf.constant(twins.clips(job).astype(np.float32))
    return _ready(job, precision, lambda: network(clips).numpy())


def torch_run(job: twins.Job, precision: str, compiled: bool) -> tuple[dict[str, Any], turns.Step]:
    """Runs the twin."""
    import torch
    import torch._inductor.config

    network = twins.torch_network(job).eval()
    if compiled:
        torch._inductor.config.freezing = True
        network = torch.compile(network)
    clips = twins.torch_clips(job)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")

    def run() -> Any:
        with torch.inference_mode(), autocast:
            return network(clips).float().numpy()

    return _ready(job, precision, run)


def onnxruntime_run(job: twins.Job, precision: str) -> tuple[dict[str, Any], turns.Step]:
    """Runs the twin's ONNX file in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(
        job.folder / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    clips = {session.get_inputs()[0].name: twins.torch_clips(job).contiguous().numpy()}
    return _ready(job, precision, lambda: session.run(None, clips)[0])


def openvino_run(job: twins.Job, precision: str) -> tuple[dict[str, Any], turns.Step]:
    """Runs the twin's ONNX file in OpenVINO."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job.threads,
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
    }
    network = openvino.Core().compile_model(job.folder / "model.onnx", "CPU", settings)
    clips = twins.torch_clips(job).contiguous().numpy()
    return _ready(job, precision, lambda: network(clips)[0])


def _ready(job: twins.Job, precision: str, run: Any) -> tuple[dict[str, Any], turns.Step]:
    """Warms up; raises ValueError if the logits differ from the twin's."""
    for _ in range(_WARM_UP):
        logits = run()
    return {"difference": twins.difference(job, logits, precision)}, run


READ_ONNX = ("onnxruntime_", "openvino_")
CONTENDERS: dict[str, tuple[Any, ...]] = {
    "keras_float32": (keras_run, "float32", False),
    "keras_float32_folded": (keras_run, "float32", True),
    "keras_bfloat16": (keras_run, "bfloat16", False),
    "torch_float32": (torch_run, "float32", False),
    "torch_bfloat16": (torch_run, "bfloat16", False),
    "torch_float32_compiled": (torch_run, "float32", True),
    "torch_bfloat16_compiled": (torch_run, "bfloat16", True),
    "onnxruntime_float32": (onnxruntime_run, "float32"),
    "openvino_float32": (openvino_run, "float32"),
    "openvino_bfloat16": (openvino_run, "bfloat16"),
}

if __name__ == "__main__":
    main()
