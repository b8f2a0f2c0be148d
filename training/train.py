"""Trains a network on clip shards with `model.fit`.

Run the same command again and it goes on where it was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_t3d.data.batch_videos import batch_videos
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.inference.load import load_keras_model
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.optimization.learner import Learner
from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy
from keras_t3d.training import checkpoints, run_directory
from keras_t3d.training.checkpoints import Checkpoint, Checkpoints, Place
from keras_t3d.training.clips import (
    sample_clips,
    statistics_batches,
    steps_per_epoch,
    training_clips,
    validation_clips,
)
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.confusion import Confusion
from keras_t3d.training.devices import (
    Devices,
    check_batch_size,
    check_same_step,
    find_devices,
    lost_machine_named,
)
from keras_t3d.training.epoch_record import EpochRecord
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.loss_watch import LossWatch
from keras_t3d.training.network import network_for, new_network
from keras_t3d.training.objective import highest_rate, new_loss, new_metrics, new_optimizer
from keras_t3d.training.plateau import Plateau
from keras_t3d.training.progress import TrainingProgress
from keras_t3d.training.tensorboard_log import Profile, TensorBoardLog


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
    devices = find_devices()  # first: TensorFlow joins machines before it runs anything
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    shards = ShardSet.open(config.data.shards)
    steps = steps_per_epoch(config, shards)
    check_batch_size(config.data.batch_size, config.optimizer.accumulation, devices)
    folder = run_directory.check(run_dir, config)
    checkpoint = checkpoints.newest_checkpoint(folder)
    with lost_machine_named(devices):
        check_same_step(checkpoint.place.step if checkpoint else 0, devices)
    if checkpoint is not None:
        _check_same_shards(checkpoint.place, shards, steps)
        if checkpoint.place.epoch == config.epochs:
            print(f"{folder} has finished its {config.epochs} epochs.")
            return load_keras_model(folder / run_directory.LAST)

    keras.utils.set_random_seed(config.seed)
    with devices.scope():
        network = _network(config, shards, init, checkpoint)
        learner = Learner(network, config.optimizer.accumulation)
        metrics = new_metrics(config, network.num_classes)
        learner.compile(
            optimizer=new_optimizer(config, network, steps),
            loss=new_loss(config, shards),
            weighted_metrics=metrics,  # weights: clips that fill a batch count nothing
        )
    validation = validation_clips(config, shards, devices)
    if config.optimizer.schedule == "plateau" and validation is None:
        raise ValueError(
            "The plateau schedule needs validation videos: convert with a val split, or use "
            "another schedule. "
            f"Received: no split {config.data.validation_split!r} in {shards.folder}"
        )
    training_clips(config, shards, devices)  # refuses what does not fit, before anything is written
    if checkpoint is None:
        place = Place(0, steps, network.clip_spec, network.class_names, validation is not None)
        checkpoint = Checkpoint(place, values={})
    else:
        _check_same_validation(checkpoint.place, shards, validation)
        print(f"Going on after epoch {checkpoint.place.epoch} of {config.epochs}", end="")
        print(f", step {checkpoint.place.step_in_epoch} of {steps}.")
    history = list(checkpoint.place.history)
    run = _Run(config, folder, shards, devices, learner, metrics, history, validation, profile)
    with (
        run_directory.started(folder, config, list(devices.names))
        if devices.is_chief
        else contextlib.nullcontext(),
        damage_named(shards),
        lost_machine_named(devices),
    ):
        # The rest of an epoch by itself, as `fit` begins with whole ones.
        if checkpoint.place.step_in_epoch:
            place = run.fit(checkpoint, checkpoint.place.epoch + 1)
            checkpoint = Checkpoint(place, values={})
        if checkpoint.place.epoch < config.epochs:
            run.fit(checkpoint, config.epochs)
    return load_keras_model(folder / run_directory.LAST)


_SAMPLES = 16  # clips shown in TensorBoard


@dataclasses.dataclass(frozen=True)
class _Run:
    """All that a call of `fit` needs."""

    config: TrainConfig
    folder: pathlib.Path
    shards: ShardSet
    devices: Devices
    learner: Learner
    metrics: list[keras.metrics.Metric]
    history: list[dict[str, float]]
    validation: Any
    profile: bool

    def fit(self, checkpoint: Checkpoint, epochs: int) -> Place:
        """Trains from a checkpoint to the end of an epoch; returns where that is."""
        start, config = checkpoint.place, self.config
        if checkpoint.values:
            weights = {group: checkpoint.values[group] for group in ("network", "optimizer")}
            checkpoints.assign_state(self.learner, weights)
        progress = TrainingProgress(
            config.epochs, start.steps_per_epoch, config.data.batch_size, start.step_in_epoch
        )
        try:
            self.learner.fit(
                training_clips(config, self.shards, self.devices, start.step),
                epochs=epochs,
                initial_epoch=start.epoch,
                steps_per_epoch=start.steps_per_epoch - start.step_in_epoch,
                validation_data=self.validation,
                callbacks=self._callbacks(checkpoint, progress),
                shuffle=False,  # load_clips did
                verbose=0,  # progress shows more
            )
        finally:
            progress.close()
        return dataclasses.replace(start, step=epochs * start.steps_per_epoch)

    def _callbacks(
        self, checkpoint: Checkpoint, progress: TrainingProgress
    ) -> list[keras.callbacks.Callback]:
        """In the order in which they need each other."""
        start, config, chief = checkpoint.place, self.config, self.devices.is_chief
        in_epoch = start.step_in_epoch
        watch = LossWatch(self.folder, self._videos, start.steps_per_epoch, in_epoch, writes=chief)
        weights = EvaluationWeights(self._statistics if config.precise_bn_batches else None)
        record = EpochRecord(self.folder, self.history, weights, chief)
        saving = Checkpoints(
            self.folder,
            start,
            checkpoint.values["metrics"] if in_epoch else None,
            config.checkpoints.every_steps,
            config.checkpoints.keep,
            writes=chief,
            history=self.history,
            before=watch.check,
        )
        # Progress adds rate and waiting to the logs that those behind it write.
        callbacks = [watch, *([progress] if chief else []), weights, record]
        if config.optimizer.schedule == "plateau":
            ours = config.optimizer
            rate = highest_rate(config)
            callbacks.append(Plateau(self.history, rate, ours.factor, ours.patience))
        confusion = Confusion(next(m for m in self.metrics if isinstance(m, MeanClassAccuracy)))
        callbacks.append(confusion)
        if chief:
            callbacks.append(self._tensorboard(confusion))
        if chief and self.profile:
            callbacks.append(Profile(self.folder / "tensorboard"))
        return [*callbacks, saving]

    def _videos(self, step: int) -> list[str]:
        data = self.config.data
        return batch_videos(
            self.shards,
            data.train_split,
            batch_size=data.batch_size,
            step=step,
            seed=self.config.seed,
            shuffle_buffer=data.shuffle_buffer,
            repeats=data.augmentation.repeats,
            on_damage=data.on_damage,
        )

    def _statistics(self) -> Iterator[Any]:
        count = self.config.precise_bn_batches
        return statistics_batches(self.config, self.shards, self.devices, count)

    def _tensorboard(self, confusion: Confusion) -> TensorBoardLog:
        names = list(self.shards.class_names)
        return TensorBoardLog(
            self.folder / "tensorboard",
            lambda: sample_clips(self.config, self.shards, _SAMPLES),
            None if self.validation is None else lambda: (confusion.counts, names),
        )


def _network(
    config: TrainConfig, shards: ShardSet, init: str | None, checkpoint: Checkpoint | None
) -> VideoClassifier:
    if checkpoint is None:
        return new_network(config, shards.class_names, init)
    return network_for(config.model, checkpoint.place.clip_spec, shards.class_names)


def _check_same_shards(place: Place, shards: ShardSet, steps: int) -> None:
    rule = "The shards changed since the run began: use the same ones, or a new --run-dir."
    if place.class_names != shards.class_names:
        gone = [name for name in place.class_names if name not in shards.class_names]
        new = [name for name in shards.class_names if name not in place.class_names]
        change = f"without {gone[:5]}, with {new[:5]}" if gone or new else "in another order"
        raise ValueError(f"{rule} Received: {shards.folder}, whose classes are {change}")
    if place.steps_per_epoch != steps:
        raise ValueError(
            f"{rule} Received: {steps} steps an epoch in {shards.folder}, before it were "
            f"{place.steps_per_epoch}"
        )


def _check_same_validation(place: Place, shards: ShardSet, validation: Any) -> None:
    if place.validates != (validation is not None):
        began = "with" if place.validates else "without"
        raise ValueError(
            f"The run began {began} validation videos, and must go on so: use the same shards, or "
            f"a new --run-dir. Received: {shards.folder} with the splits {list(shards.splits)}"
        )


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
