"""Trains a network on clip shards with `model.fit`.

Run the same command again and it goes on where it was.
"""

from __future__ import annotations

import os
import pathlib

import keras

from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy
from keras_t3d.training import run_directory
from keras_t3d.training.checkpoints import Place
from keras_t3d.training.clips import (
    sample_clips,
    statistics_batches,
    training_clips,
    validation_clips,
)
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.confusion import Confusion
from keras_t3d.training.network import network_for, new_network
from keras_t3d.training.objective import new_loss, new_metrics, new_optimizer
from keras_t3d.training.run import SHARDS_CHANGED, Figures, Run, Start, find_start, is_finished
from keras_t3d.training.tensorboard_log import Profile, TensorBoardLog

FIGURES = Figures("cross_entropy", "top1", titles=("cross-entropy", "top-1"))
NETWORKS = {run_directory.BEST: "val_top1", run_directory.LAST: None}
SAMPLES = 16  # clips shown in TensorBoard


def train(
    config: TrainConfig,
    run_dir: str | os.PathLike[str],
    init: str | None = None,
    profile: bool = False,
) -> VideoClassifier:
    """Trains a network as a configuration says, or goes on with a run.

    Args:
        config: TrainConfig.
        run_dir: folder of the run, see `keras_t3d.training.run_directory`. On several
            machines, one that all of them see.
        init: path of a `.keras` model whose weights the training starts from; a
            head for other classes is replaced. Defaults to `None`.
        profile: bool. Whether to trace some steps for TensorBoard. Defaults to `False`.

    Returns:
        The trained VideoClassifier, as after the last epoch.

    Raises:
        ValueError: if configuration, shards or run directory do not fit, or the loss
            becomes no number.
    """
    start = find_start(config, run_dir)
    shards, devices = start.shards, start.devices
    check_labelled(shards)
    if start.checkpoint is not None:
        _check_same_classes(start.checkpoint.place, shards)
    if is_finished(start, config.epochs):
        return load_keras_model(start.folder / run_directory.LAST)

    keras.utils.set_random_seed(config.seed)
    with devices.scope():
        network = _network(config, start, init)
        learner = Learner(network, config.optimizer.accumulation)
        metrics = new_metrics(config, network.num_classes)
        learner.compile(
            optimizer=new_optimizer(config, network, start.steps),
            loss=new_loss(config, shards),
            weighted_metrics=metrics,  # weights: clips that fill a batch count nothing
        )
    validation = validation_clips(config, shards, devices)

    def callbacks() -> list[keras.callbacks.Callback]:
        confusion = Confusion(next(m for m in metrics if isinstance(m, MeanClassAccuracy)))
        if not devices.is_chief:
            return [confusion]
        folder = start.folder / "tensorboard"
        log = TensorBoardLog(
            folder,
            lambda: sample_clips(config, shards, SAMPLES),
            None if validation is None else lambda: (confusion.counts, list(shards.class_names)),
        )
        return [confusion, log, *([Profile(folder)] if profile else [])]

    run = Run(
        config,
        start,
        learner,
        clips=lambda step: training_clips(config, shards, devices, step),
        validation=validation,
        statistics=lambda count: statistics_batches(
            training_clips(config, shards, devices), devices, count, lambda batch: batch[0]
        ),
        figures=FIGURES,
        networks=NETWORKS,
        callbacks=callbacks,
    )
    run.finish()
    return load_keras_model(start.folder / run_directory.LAST)


def _network(config: TrainConfig, start: Start, init: str | None) -> VideoClassifier:
    names = start.shards.class_names
    if start.checkpoint is None:
        return new_network(config, names, init)
    return network_for(config.model, start.checkpoint.place.clip_spec, names)


def _check_same_classes(place: Place, shards: ShardSet) -> None:
    if place.class_names != shards.class_names:
        gone = [name for name in place.class_names if name not in shards.class_names]
        new = [name for name in shards.class_names if name not in place.class_names]
        change = f"without {gone[:5]}, with {new[:5]}" if gone or new else "in another order"
        raise ValueError(f"{SHARDS_CHANGED} Received: {shards.folder}, whose classes are {change}")


def main(config: TrainConfig, run_dir: str, init: str | None = None, profile: bool = False) -> None:
    """Trains, then says where everything lies."""
    train(config, run_dir, init, profile)
    folder = pathlib.Path(run_dir)
    last = run_directory.read_history(folder)[-1]
    figures = ", ".join(
        f"{key} {last[key]:.4f}" for key in ("cross_entropy", "top1", "val_top1") if key in last
    )
    print(f"Epoch {int(last['epoch'])}: {figures}")
    print(f"Wrote {folder / run_directory.BEST}, history.csv, curves.png, tensorboard/")
