"""Trains a network on labelled clips with `model.fit`; re-run to resume."""

from __future__ import annotations

import os
import shutil
from typing import Any

import keras
import numpy as np

from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.load import load_keras_model
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy
from keras_t3d.training import run_directory
from keras_t3d.training.checkpoints import TrainingState
from keras_t3d.training.clips import ClipBatches, sample_clips, validation_split
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.network import network_for, new_network
from keras_t3d.training.objective import new_loss, new_metrics, new_optimizer
from keras_t3d.training.run import (
    SHARDS_CHANGED,
    Batches,
    RunSetup,
    TrainingRun,
    prepare_run,
    with_enough_epochs,
)
from keras_t3d.training.selection import Selection
from keras_t3d.training.start_as_probe import compare_with_probe, start_as_probe
from keras_t3d.training.stored_batches import RestLearner, StoredBatches
from keras_t3d.training.tensorboard_log import Profile, TensorBoardLog

_ENOUGH_VIDEOS = 100  # for validation: one is a point of accuracy
_REPORTED = ("cross_entropy", "top1", "val_cross_entropy", "val_top1")
METRICS = {"cross-entropy": "cross_entropy", "top-1": "top1"}


class ConfusionMatrix(keras.callbacks.Callback):
    """Keeps the confusion matrix of the last validation in `counts`.

    With several machines it runs on each of them, as the metric is spread over machines.

    Args:
        metric: a metric of the model.
    """

    def __init__(self, metric: MeanClassAccuracy) -> None:
        super().__init__()
        self.counts = np.zeros((metric.num_classes, metric.num_classes))
        self._metric = metric

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.counts = keras.ops.convert_to_numpy(self._metric.counts)


def train(
    config: TrainConfig,
    run_dir: str | os.PathLike[str],
    init: str | None = None,
    profile: bool = False,
) -> VideoClassifier:
    """Trains a network, or resumes a run.

    Args:
        config: configuration of the run.
        run_dir: folder for checkpoints, models and metrics, see
            `keras_t3d.training.run_directory`. With several machines, a folder that all of them
            can access.
        init: path of a `.keras` model whose weights to start from; a head for other classes is
            replaced.
        profile: whether to trace some steps for TensorBoard's profiler.

    Returns:
        The trained VideoClassifier, with the weights after the last epoch.

    Raises:
        KerasT3DError: if configuration, shards and run directory do not fit, or the loss
            becomes NaN or infinite.

    Example:

    ```python
    config, _ = parse_config(config_parser(), ["--config", "motion"])
    model = train(config, "runs/motion")
    ```
    """
    config = with_enough_epochs(config)
    setup = prepare_run(config, run_dir)
    shards, devices = setup.shards, setup.devices
    check_labelled(shards)
    if setup.checkpoint is not None:
        _check_same_classes(setup.checkpoint.state, shards)
    if setup.is_finished(config.epochs, config.best):
        return load_keras_model(setup.folder / run_directory.LAST)

    keras.utils.set_random_seed(config.seed)
    checkpoint, class_names = setup.checkpoint, shards.class_names
    with devices.scope():
        if checkpoint is None:
            network = new_network(config, class_names, init)
            if config.probe:
                start_as_probe(network, config, setup)
        else:
            network = network_for(config.model, checkpoint.state.clip_spec, class_names)
        learner, batches = _learner(network, config, setup)
        metrics = new_metrics(config, network.num_classes)
        learner.compile(
            optimizer=new_optimizer(config, network, setup.steps_per_epoch),
            loss=new_loss(config, shards),
            weighted_metrics=metrics,
        )
    split = validation_split(config, shards)
    has_validation = split is not None
    _warn_of_few_videos(config, shards)
    if config.data.validation_split is not None and not has_validation:
        print(
            f"No videos in the split {config.data.validation_split!r}: best.keras will be the last "
            "epoch's model."
        )

    def make_callbacks() -> list[keras.callbacks.Callback]:
        confusion = ConfusionMatrix(next(m for m in metrics if isinstance(m, MeanClassAccuracy)))
        if not devices.is_chief:
            return [confusion]
        folder = setup.folder / "tensorboard"
        log = TensorBoardLog(
            folder,
            lambda: sample_clips(config, shards),
            (lambda: (confusion.counts, list(class_names))) if has_validation else None,
        )
        return [confusion, log, *([Profile(folder)] if profile else [])]

    num_videos = shards.num_videos(split) if split else None
    models = {run_directory.BEST: Selection(config.best, num_videos), run_directory.LAST: None}
    TrainingRun(config, setup, learner, batches, METRICS, models, make_callbacks).fit()
    if devices.is_chief:
        shutil.rmtree(setup.folder / run_directory.STORED_FEATURES, ignore_errors=True)
    return load_keras_model(setup.folder / run_directory.LAST)


def _learner(
    network: VideoClassifier, config: TrainConfig, setup: RunSetup
) -> tuple[Learner, Batches]:
    """Returns the learner and what it reads: clips, or outputs of the frozen stages."""
    accumulation = config.optimizer.accumulation
    if not config.stored_views:
        return Learner(network, accumulation), ClipBatches(config, setup.shards, setup.devices)
    stored = StoredBatches(network, config, setup)
    return RestLearner(network, stored.rest, accumulation), stored


def _warn_of_few_videos(config: TrainConfig, shards: ShardSet) -> None:
    split = validation_split(config, shards)
    videos = shards.num_videos(split) if split else _ENOUGH_VIDEOS
    if videos < _ENOUGH_VIDEOS:
        print(
            f"The split {split!r} has {videos} videos: each is {100 / videos:.1f} points of "
            f"validation accuracy. best.keras is selected by {config.best.by} (`best.by`)."
        )


def _check_same_classes(state: TrainingState, shards: ShardSet) -> None:
    if state.class_names == shards.class_names:
        return
    missing = [name for name in state.class_names if name not in shards.class_names]
    new = [name for name in shards.class_names if name not in state.class_names]
    change = f"missing {missing[:5]}, new {new[:5]}" if missing or new else "in another order"
    raise InvalidArgumentError(f"{SHARDS_CHANGED} Received: {shards.folder}, classes {change}")


def train_and_report(
    config: TrainConfig, run_dir: str, init: str | None = None, profile: bool = False
) -> None:
    """Trains, then prints the metrics and the paths of the files."""
    train(config, run_dir, init, profile)
    run_directory.print_results(run_dir, run_directory.BEST, *_REPORTED)
    compare_with_probe(run_dir)
