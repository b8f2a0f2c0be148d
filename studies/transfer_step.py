"""Times the student's plain training step beside two steps of pre-training.

The contenders run in processes of their own, in turns: see `turns.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import turns
from transfer_settings import DATASETS, STARTS, Folders, make_pretraining

ALLOWED = 1.15  # that was asked for: pre-training with cached features to plain training
PLAIN, CACHED, RUNNING = "plain training", "pre-training, cached", "pre-training, teacher runs"


def measure(folders: Folders, rounds: int, epochs: int) -> dict[str, Any]:
    """Times steps in turns, then whole epochs as a user starts them.

    Args:
        folders: folders with the dataset's shards. A teacher with random weights is created.
        rounds: timed steps of each.
        epochs: epochs of each run, at least 2; the first, which compiles, is discarded.

    Returns:
        Dict of `milliseconds` a step and their `quartiles`, `ratios` to the plain step,
        `epoch_seconds`, `feature_seconds` (of computing the cached features, once),
        `batch_size` and `allowed`.
    """
    work = folders.of_size / "step"
    shutil.rmtree(work, ignore_errors=True)  # of a call that was stopped
    teacher = work / "teacher.keras"
    turns.facts_of(make_random_teacher, folders.dataset, folders.size, teacher)
    entries = {name: (build_step, folders, teacher, name) for name in (PLAIN, CACHED, RUNNING)}
    race = turns.race(entries, rounds)
    if race.unavailable:
        raise turns.ContenderError(str(race.unavailable))
    runs = turns.facts_of(measure_epochs, folders, teacher, work, epochs)
    shutil.rmtree(work)
    medians = race.milliseconds
    return {
        "milliseconds": medians,
        "quartiles": {
            name: [round(cut, 3) for cut in statistics.quantiles(times, n=4)]
            for name, times in race.times.items()
        },
        "rounds": rounds,
        "ratios": {name: turns.ratio(medians[name], medians[PLAIN]) for name in (CACHED, RUNNING)},
        **runs,
        "batch_size": DATASETS[folders.dataset][folders.size].batch_size,
        "allowed": ALLOWED,
    }


# What the processes run.


def make_random_teacher(dataset: str, size: str, path: Path) -> tuple[dict[str, Any], turns.Step]:
    """Writes a teacher with random weights, on which its speed does not depend."""
    import keras
    from transfer_teacher import teacher_for

    from keras_t3d.atomic import written_beside

    keras.utils.set_random_seed(0)
    with written_beside(path) as part:
        teacher_for(DATASETS[dataset][size], 2).save(part)
    return {}, int


def build_step(folders: Folders, teacher: Path, name: str) -> tuple[dict[str, Any], turns.Step]:
    """Compiles the step of a contender; returns a function that runs it once."""
    seconds = _step(folders, teacher, name)
    seconds(1)
    return {}, functools.partial(seconds, 1)


def _step(folders: Folders, teacher: Path, name: str) -> Callable[[int], float]:
    from bare_step import bare_step

    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training.devices import find_devices

    devices, config = find_devices(), _pretraining(folders, teacher)
    if name == PLAIN:
        return bare_step(_plain(config), ShardSet.open(folders.choosing), devices)
    return pretraining_step(config, devices, cached=name == CACHED)


def _plain(config: Any) -> Any:
    """Returns the configuration of training with labels that is otherwise equal."""
    from keras_t3d.training.config import TrainConfig

    names = ("model", "clip", "data", "optimizer", "epochs", "seed")
    return TrainConfig(**{name: getattr(config, name) for name in names})


def _pretraining(folders: Folders, teacher: Path) -> Any:
    size = DATASETS[folders.dataset][folders.size]
    return make_pretraining(size, STARTS["matching"], folders.choosing, teacher, folders.seed)


def pretraining_step(config: Any, devices: Any, cached: bool) -> Callable[[int], float]:
    """Compiles the step of a pre-training on a batch in memory, as `bare_step` does of training.

    Args:
        config: configuration of the pre-training.
        devices: devices to train on.
        cached: keep the teacher's features in memory; otherwise the teacher runs in each step.

    Returns:
        A function that runs a number of steps and returns the seconds they took. Its first call
        compiles.
    """
    import numpy as np
    from bare_step import repeated_step

    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.training.clips import training_clips, training_reader
    from keras_t3d.training.network import new_student
    from keras_t3d.training.objective import new_optimizer
    from keras_t3d.training.pretraining import new_transfer
    from keras_t3d.transfer.frame_teacher import load_teacher

    shards = ShardSet.open(config.data.shards)
    with devices.scope():
        teacher = load_teacher(config.teacher.network, preprocessing=config.teacher.preprocessing)
        learner = new_transfer(config, teacher, new_student(config, teacher))
        learner.compile(
            new_optimizer(config, learner.network, training_reader(config, shards).steps_per_epoch)
        )
    first = next(iter(training_clips(config, shards, devices)))
    batch = {
        name: np.asarray(value)
        for name, value in (first[0] if isinstance(first, tuple) else first).items()
    }
    if cached:
        batch["frame_features"] = np.zeros((len(batch["clips"]), teacher.width), np.float32)
    return repeated_step(learner, batch, devices)


def measure_epochs(
    folders: Folders, teacher: Path, work: Path, epochs: int
) -> tuple[dict[str, Any], turns.Step]:
    """Runs `train` and `pretrain`, with and without cached features, one after the other."""
    from keras_t3d.data.clips.frame_features import DESCRIPTION
    from keras_t3d.training import pretrain, train
    from keras_t3d.training.run_directory import read_history
    from keras_t3d.transfer.feature_cache import write_frame_features
    from keras_t3d.transfer.frame_teacher import load_teacher

    def of_run(name: str, config: Any, run: Callable[..., Any]) -> float:
        data = dataclasses.replace(config.data, validation_split=None)
        optimizer = dataclasses.replace(config.optimizer, warmup_epochs=0.0)
        changes = {"data": data, "optimizer": optimizer, "epochs": epochs}
        run(dataclasses.replace(config, **changes), work / name)
        return statistics.median(row["seconds"] for row in read_history(work / name)[1:])

    config = _pretraining(folders, teacher)
    network = load_teacher(str(teacher), preprocessing="torch")
    fingerprint = network.fingerprint()
    for left in (folders.choosing / "frame_features").glob(f"*/{DESCRIPTION}"):
        if json.loads(left.read_text(encoding="utf-8"))["teacher"] == fingerprint:
            shutil.rmtree(left.parent)  # of a call that was stopped
    started = time.perf_counter()
    features = write_frame_features(network, folders.choosing, "train", config.clip_spec)
    feature_seconds = time.perf_counter() - started
    running = dataclasses.replace(config, cache_features=False)
    try:
        seconds = {
            PLAIN: of_run("plain", _plain(config), train),
            CACHED: of_run("cached", config, pretrain),
            RUNNING: of_run("running", running, pretrain),
        }
    finally:
        shutil.rmtree(features)
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    return {"epoch_seconds": rounded, "feature_seconds": round(feature_seconds, 3)}, int
