"""What every run does, whatever it learns: begins or goes on, calls `fit`, keeps its files."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.optimization.learner import Learner
from keras_t3d.training import checkpoints, run_directory
from keras_t3d.training.checkpoints import Checkpoint, Checkpoints, Place
from keras_t3d.training.clips import training_reader
from keras_t3d.training.config import RunConfig
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
from keras_t3d.training.objective import highest_rate
from keras_t3d.training.plateau import Plateau
from keras_t3d.training.progress import TrainingProgress


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run begins, or goes on.

    Attributes:
        folder: pathlib.Path. The run directory; it need not be there yet.
        shards: ShardSet.
        devices: Devices.
        steps: int. Of an epoch.
        checkpoint: Checkpoint, or None where the run has none.
    """

    folder: pathlib.Path
    shards: ShardSet
    devices: Devices
    steps: int
    checkpoint: Checkpoint | None


def find_start(config: RunConfig, run_dir: str | os.PathLike[str]) -> Start:
    """Finds devices, shards and checkpoint of a run; to be called before anything is computed.

    Raises:
        ValueError: if configuration, shards, devices or run directory do not fit.
    """
    devices = find_devices()  # first: TensorFlow joins machines before it runs anything
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    shards = ShardSet.open(config.data.shards)
    steps = training_reader(config, shards).steps_per_epoch
    check_batch_size(config.data.batch_size, config.optimizer.accumulation, devices)
    split = config.data.validation_split
    if config.optimizer.schedule == "plateau" and split not in shards.splits:
        raise ValueError(
            "The plateau schedule needs validation videos: convert with a val split, or use "
            f"another schedule. Received: no split {split!r} in {shards.folder}"
        )
    folder = run_directory.check(run_dir, config)
    checkpoint = checkpoints.newest_checkpoint(folder)
    with lost_machine_named(devices):
        check_same_step(checkpoint.place.step if checkpoint else 0, devices)
    return Start(folder, shards, devices, steps, checkpoint)


def is_finished(start: Start, epochs: int) -> bool:
    """Whether a run has no epoch left, which it says then.

    Raises:
        ValueError: if its shards have another number of steps than before.
    """
    if start.checkpoint is None:
        return False
    place = start.checkpoint.place
    if place.steps_per_epoch != start.steps:
        raise ValueError(
            f"{SHARDS_CHANGED} Received: {start.steps} steps an epoch in {start.shards.folder}, "
            f"before it were {place.steps_per_epoch}"
        )
    if place.epoch < epochs:
        return False
    print(f"{start.folder} has finished its {epochs} epochs.")
    return True


SHARDS_CHANGED = "The shards changed since the run began: use the same ones, or a new --run-dir."


@dataclasses.dataclass(frozen=True)
class Figures:
    """By which figures a run is followed; in validation they begin with `val_`.

    Attributes:
        loss: str. The loss that the plateau schedule follows; padded clips do not count in it.
        accuracy: str. What is shown beside the loss while the run goes on.
        titles: str. What both are called in curves.png.
    """

    loss: str
    accuracy: str
    titles: tuple[str, str]

    @property
    def panels(self) -> dict[str, tuple[str, ...]]:
        """The figures of each of the curves, by title."""
        pairs = {
            title: (figure, f"val_{figure}")
            for title, figure in zip(self.titles, (self.loss, self.accuracy), strict=True)
        }
        return {**pairs, "learning rate": ("learning_rate",)}


@dataclasses.dataclass(frozen=True)
class Run:
    """All that calls of `fit` need.

    Attributes:
        config: TrainConfig or PretrainConfig.
        start: Start.
        learner: Learner, compiled.
        clips: gives endless training batches from a step on.
        validation: validation batches, or None.
        statistics: gives clips of as many training batches as are asked for.
        figures: Figures.
        networks: by the names of the files that hold the network: see `EpochRecord`.
        callbacks: gives further callbacks for each call of `fit`.
        teacher: str. Fingerprint of the teacher, or None.
    """

    config: RunConfig
    start: Start
    learner: Learner
    clips: Callable[[int], Any]
    validation: Any
    statistics: Callable[[int], Iterator[Any]]
    figures: Figures
    networks: Mapping[str, str | None]
    callbacks: Callable[[], Sequence[keras.callbacks.Callback]]
    teacher: str | None = None

    def finish(self) -> None:
        """Trains from where the run is to the end of its last epoch.

        Raises:
            ValueError: if the clips do not fit, before anything is written; or if another
                process trains there, or the loss becomes no number.
        """
        config, start = self.config, self.start
        self.clips(0)  # refuses what does not fit
        checkpoint = self._checkpoint()
        history = list(checkpoint.place.history)
        with (
            run_directory.started(start.folder, config, list(start.devices.names))
            if start.devices.is_chief
            else contextlib.nullcontext(),
            damage_named(start.shards),
            lost_machine_named(start.devices),
        ):
            # The rest of an epoch by itself, as `fit` begins with whole ones.
            if checkpoint.place.step_in_epoch:
                place = self._fit(checkpoint, checkpoint.place.epoch + 1, history)
                checkpoint = Checkpoint(place, values={})
            if checkpoint.place.epoch < config.epochs:
                self._fit(checkpoint, config.epochs, history)

    def _checkpoint(self) -> Checkpoint:
        """The one to go on from, or that of a run that begins."""
        start, network, validates = self.start, self.learner.network, self.validation is not None
        if start.checkpoint is None:
            spec, names = network.clip_spec, network.class_names
            place = Place(0, start.steps, spec, names, validates, teacher=self.teacher)
            return Checkpoint(place, values={})
        place = start.checkpoint.place
        if place.validates != validates:
            began = "with" if place.validates else "without"
            raise ValueError(
                f"The run began {began} validation videos, and must go on so: use the same shards, "
                f"or a new --run-dir. Received: {start.shards.folder} with the splits "
                f"{list(start.shards.splits)}"
            )
        print(f"Going on after epoch {place.epoch} of {self.config.epochs}", end="")
        print(f", step {place.step_in_epoch} of {start.steps}.")
        return start.checkpoint

    def _fit(self, checkpoint: Checkpoint, epochs: int, history: list[dict[str, float]]) -> Place:
        """Trains from a checkpoint to the end of an epoch; returns where that is."""
        place, config = checkpoint.place, self.config
        if checkpoint.values:
            weights = {group: checkpoint.values[group] for group in ("network", "optimizer")}
            checkpoints.assign_state(self.learner, weights)
        progress = TrainingProgress(
            config.epochs,
            place.steps_per_epoch,
            config.data.batch_size,
            place.step_in_epoch,
            self.figures.accuracy,
        )
        try:
            self.learner.fit(
                self.clips(place.step),
                epochs=epochs,
                initial_epoch=place.epoch,
                steps_per_epoch=place.steps_per_epoch - place.step_in_epoch,
                validation_data=self.validation,
                callbacks=self._callbacks(checkpoint, progress, history),
                shuffle=False,  # the clips are
                verbose=0,  # progress shows more
            )
        finally:
            progress.close()
        return dataclasses.replace(place, step=epochs * place.steps_per_epoch)

    def _callbacks(
        self, checkpoint: Checkpoint, progress: TrainingProgress, history: list[dict[str, float]]
    ) -> list[keras.callbacks.Callback]:
        """In the order in which they need each other."""
        place, config, folder = checkpoint.place, self.config, self.start.folder
        chief, in_epoch = self.start.devices.is_chief, checkpoint.place.step_in_epoch
        watch = LossWatch(folder, self._videos, place.steps_per_epoch, in_epoch, writes=chief)
        measured = config.precise_bn_batches
        weights = EvaluationWeights((lambda: self.statistics(measured)) if measured else None)
        record = EpochRecord(
            folder, history, weights, self.networks, self.figures.panels, writes=chief
        )
        saving = Checkpoints(
            folder,
            place,
            checkpoint.values["metrics"] if in_epoch else None,
            config.checkpoints.every_steps,
            config.checkpoints.keep,
            writes=chief,
            history=history,
            before=watch.check,
        )
        # Progress adds rate and waiting to the logs that those behind it write.
        callbacks = [watch, *([progress] if chief else []), weights, record]
        if config.optimizer.schedule == "plateau":
            ours, loss = config.optimizer, f"val_{self.figures.loss}"
            rate = highest_rate(config)
            callbacks.append(Plateau(history, loss, rate, ours.factor, ours.patience))
        return [*callbacks, *self.callbacks(), saving]

    def _videos(self, step: int) -> list[str]:
        return training_reader(self.config, self.start.shards).batch_videos(step)
