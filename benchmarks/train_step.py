"""Times a training step of our networks beside that of PyTorch twins, and measures its memory.

A step is forward, cross-entropy, backward and an SGD update with momentum, on a batch of 4 clips.
Ours is `train_on_batch` on uint8 clips, which it normalizes itself; PyTorch's runs in
channels_last_3d on normalized clips, with and without autocast to bfloat16 and `torch.compile`.
Twins start from the same weights: the script compares their logits before timing, and records the
losses of the first steps.

Memory is the growth of a process's peak, per clip, if the batch is four times as large, under the
default malloc; allocators round and pool, so small differences reflect the allocator rather than
the network.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --models t3d_121 --rounds 15 --skip-compile
    python benchmarks/train_step.py --quick
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import turns
import twins

_WARM_UP = 3  # steps
_LEARNING_RATE = 0.01
_LARGER = 4  # times the batch, where memory is compared


def main(argv: list[str] | None = None) -> None:
    """Measures and prints; the last line is one JSON object."""
    options = _options(argv)
    machine = turns.machine()
    models = {name: _measure(name, options) for name in options.models}
    result = {
        "input_shape": options.input_shape,
        "batch": options.batch,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine,
        "models": models,
    }
    for name, of_model in models.items():
        turns.print_table(name, of_model)
    print(json.dumps(result))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=4)
    return twins.options(parser, list(_CONTENDERS), argv, ("t3d_121", "resnet3d_50"))


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    chosen = {contender: _CONTENDERS[contender] for contender in options.contenders}
    with tempfile.TemporaryDirectory() as folder:
        larger = twins.Job(
            Path(folder), name, options.input_shape, _LARGER * options.batch, options.threads
        )
        turns.facts_of(_write, larger)
        job = replace(larger, batch=options.batch)
        race = turns.race(
            {n: (build, job, *how) for n, (build, *how) in chosen.items()}, options.rounds
        )
        growth = _bytes_per_clip(race, larger, options.batch)
    return {
        "milliseconds": race.milliseconds,
        "unavailable": race.unavailable,
        "logits_difference": {name: facts["difference"] for name, facts in race.facts.items()},
        "losses": {name: facts["losses"] for name, facts in race.facts.items()},
        "bytes_per_clip": growth,
        **_ratios(race, growth),
    }


def _bytes_per_clip(race: turns.Race, larger: twins.Job, batch: int) -> dict[str, float]:
    """Returns the growth of peak memory per clip, for contenders whose memory is compared."""
    growth: dict[str, float] = {}
    for name in ("keras_float32", "rematerialized_float32", "torch_float32"):
        if name in race.milliseconds:
            build, *how = _CONTENDERS[name]
            peak = turns.facts_of(build, larger, *how)["peak_bytes"]
            growth[name] = (peak - race.facts[name]["peak_bytes"]) / (larger.batch - batch)
    return growth


def _ratios(race: turns.Race, growth: dict[str, float]) -> dict[str, float | None]:
    """Returns PyTorch's time to ours, and our memory and rematerialized time to the others'."""
    plain, rematerialized = "keras_float32", "rematerialized_float32"
    time, memory = race.milliseconds.get, growth.get
    return {
        "training_float32": turns.ratio(race.best("torch_float32"), time(plain)),
        "training_bfloat16": turns.ratio(race.best("torch_bfloat16"), time("keras_bfloat16")),
        "training_best": turns.ratio(race.best("torch_"), race.best("keras_")),
        "rematerialized_time_ratio": turns.ratio(time(rematerialized), time(plain)),
        "memory_plain_ratio": turns.ratio(memory(plain), memory("torch_float32")),
        "memory_rematerialized_ratio": turns.ratio(memory(rematerialized), memory("torch_float32")),
    }


# What the contenders' processes run.


def _write(job: twins.Job) -> tuple[dict[str, Any], turns.Step]:
    twins.write(job)
    return {}, int


def keras_step(
    job: twins.Job, precision: str, rematerialize: bool
) -> tuple[dict[str, Any], turns.Step]:
    """Builds our network and its training step."""
    import keras

    model = twins.keras_model(job, precision, rematerialize)
    clips, labels = twins.clips(job), twins.labels(job)
    difference = twins.difference(job, model(clips[:1], training=False), precision)
    model.compile(
        optimizer=keras.optimizers.SGD(_LEARNING_RATE, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    def step() -> float:
        model.reset_metrics()  # or it would return the mean of all losses so far
        return float(model.train_on_batch(clips, labels))

    return _warmed_up(difference, step), step


def torch_step(job: twins.Job, precision: str, compiled: bool) -> tuple[dict[str, Any], turns.Step]:
    """Builds the twin and its training step."""
    import torch

    network = twins.torch_network(job)
    clips, labels = twins.torch_clips(job), torch.from_numpy(twins.labels(job))
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        difference = twins.difference(job, network.eval()(clips[:1]).float(), precision)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), _LEARNING_RATE, momentum=0.9, fused=True)
    forward = torch.compile(network) if compiled else network

    def step() -> float:
        optimizer.zero_grad()
        with autocast:
            loss = torch.nn.functional.cross_entropy(forward(clips), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return _warmed_up(difference, step), step


def _warmed_up(difference: float, step: Any) -> dict[str, Any]:
    losses = [step() for _ in range(_WARM_UP)]
    return {"difference": difference, "losses": losses, "peak_bytes": turns.peak_bytes()}


_CONTENDERS: dict[str, tuple[Any, ...]] = {
    "keras_float32": (keras_step, "float32", False),
    "torch_float32": (torch_step, "float32", False),
    "keras_bfloat16": (keras_step, "bfloat16", False),
    "torch_bfloat16": (torch_step, "bfloat16", False),
    "rematerialized_float32": (keras_step, "float32", True),
    "rematerialized_bfloat16": (keras_step, "bfloat16", True),
    "torch_float32_compiled": (torch_step, "float32", True),
    "torch_bfloat16_compiled": (torch_step, "bfloat16", True),
}

if __name__ == "__main__":
    main()
