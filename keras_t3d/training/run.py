"""Steps that training and pretraining share: prepare a run, call `fit`, write the files."""

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
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.optimization.learner import Learner
from keras_t3d.training import checkpoints, run_directory
from keras_t3d.training.callbacks import Plateau
from keras_t3d.training.checkpoints import Checkpoint, Checkpoints, TrainingState
from keras_t3d.training.clips import training_reader
from keras_t3d.training.config import RunConfig
from keras_t3d.training.devices import (
    Devices,
    check_batch_size,
    check_same_step,
    explain_lost_machine,
    find_devices,
)
from keras_t3d.training.epoch_writer import EpochWriter
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.objective import highest_rate
from keras_t3d.training.progress import TrainingProgress
from keras_t3d.training.stop_on_nan import StopOnNaN

SHARDS_CHANGED = "The shards changed since training started: use the same ones, or a new `run_dir`."


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """Folder, shards and devices of a run, and its newest checkpoint.

    Attributes:
        folder: the run directory; it may not exist yet.
        shards: the shards.
        devices: the devices.
        steps_per_epoch: training steps per epoch.
        checkpoint: the newest checkpoint; None for a new run.
    """

    folder: pathlib.Path
    shards: ShardSet
    devices: Devices
    steps_per_epoch: int
    checkpoint: Checkpoint | None

    def is_finished(self, epochs: int) -> bool:
        """Returns True, and prints a notice, if all epochs are done.

        Raises:
            InvalidArgumentError: if the number of steps per epoch changed.
        """
        if self.checkpoint is None:
            return False
        state = self.checkpoint.state
        if state.steps_per_epoch != self.steps_per_epoch:
            raise InvalidArgumentError(
                f"{SHARDS_CHANGED} Received: {self.steps_per_epoch} steps per epoch in "
                f"{self.shards.folder}, {state.steps_per_epoch} before"
            )
        if state.epoch < epochs:
            return False
        print(f"{self.folder}: all {epochs} epochs are done.")
        return True


def prepare_run(config: RunConfig, run_dir: str | os.PathLike[str]) -> RunSetup:
    """Opens shards and checkpoint of a run, and finds devices. Call it before TensorFlow runs.

    Args:
        config: configuration of the run.
        run_dir: the run directory.

    Returns:
        The setup of the run.

    Raises:
        InvalidArgumentError: if configuration, shards, devices and run directory do not fit.
    """
    devices = find_devices()  # first: machines connect before TensorFlow runs anything
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    shards = ShardSet.open(config.data.shards)
    steps = training_reader(config, shards).steps_per_epoch
    check_batch_size(config.data.batch_size, config.optimizer.accumulation, devices)
    split = config.data.validation_split
    if config.optimizer.schedule == "plateau" and split not in shards.splits:
        raise InvalidArgumentError(
            "The plateau schedule needs validation videos: convert with a val split, or use "
            f"another `optimizer.schedule`. Received: no split {split!r} in {shards.folder}",
            argument="optimizer.schedule",
        )
    folder = run_directory.check(run_dir, config)
    checkpoint = checkpoints.newest_checkpoint(folder)
    with explain_lost_machine(devices):
        check_same_step(checkpoint.state.step if checkpoint else 0, devices)
    return RunSetup(folder, shards, devices, steps, checkpoint)


@dataclasses.dataclass(frozen=True)
class MonitoredMetrics:
    """Metrics monitored during training; those of validation have the prefix `val_`.

    Attributes:
        loss: loss that the plateau schedule monitors; padded clips do not count.
        accuracy: metric that the progress display shows beside the loss.
        titles: titles of the two in curves.png.
    """

    loss: str
    accuracy: str
    titles: tuple[str, str]

    @property
    def panels(self) -> dict[str, tuple[str, ...]]:
        """Metrics of each panel of the curves, by title."""
        pairs = {
            title: (metric, f"val_{metric}")
            for title, metric in zip(self.titles, (self.loss, self.accuracy), strict=True)
        }
        return {**pairs, "learning rate": ("learning_rate",)}


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A learner with its data, metrics and files.

    Attributes:
        config: configuration of the run.
        setup: its folder, shards, devices and checkpoint.
        learner: the learner, compiled.
        make_clips: returns endless training batches from a step on.
        validation: validation batches, or None.
        make_statistics_clips: returns the clips of a number of training batches.
        metrics: the monitored metrics.
        models: model files, see `EpochWriter`.
        make_callbacks: returns further callbacks for each call of `fit`.
        teacher: fingerprint of the teacher, or None.
    """

    config: RunConfig
    setup: RunSetup
    learner: Learner
    make_clips: Callable[[int], Any]
    validation: Any
    make_statistics_clips: Callable[[int], Iterator[Any]]
    metrics: MonitoredMetrics
    models: Mapping[str, str | None]
    make_callbacks: Callable[[], Sequence[keras.callbacks.Callback]]
    teacher: str | None = None

    def fit(self) -> None:
        """Trains from the newest checkpoint to the end of the last epoch.

        Raises:
            KerasT3DError: if the clips do not fit, before anything is written; or if another
                process trains in the folder, or the loss becomes NaN or infinite.
        """
        config, setup = self.config, self.setup
        self.make_clips(0)  # checks the clips
        checkpoint = self._checkpoint()
        history = list(checkpoint.state.history)
        with (
            run_directory.started(setup.folder, config, list(setup.devices.names))
            if setup.devices.is_chief
            else contextlib.nullcontext(),
            damage_named(setup.shards),
            explain_lost_machine(setup.devices),
        ):
            # `fit` starts with a whole epoch, so the rest of an epoch needs a call of its own.
            if checkpoint.state.step_in_epoch:
                state = self._fit(checkpoint, checkpoint.state.epoch + 1, history)
                checkpoint = Checkpoint(state, variables={})
            if checkpoint.state.epoch < config.epochs:
                self._fit(checkpoint, config.epochs, history)

    def _checkpoint(self) -> Checkpoint:
        """Returns the checkpoint to resume from, or the initial one."""
        setup, network, has_validation = (
            self.setup,
            self.learner.network,
            self.validation is not None,
        )
        if setup.checkpoint is None:
            state = TrainingState(
                0,
                setup.steps_per_epoch,
                network.clip_spec,
                network.class_names,
                has_validation,
                teacher=self.teacher,
            )
            return Checkpoint(state, variables={})
        state = setup.checkpoint.state
        if state.has_validation != has_validation:
            started = "with" if state.has_validation else "without"
            raise InvalidArgumentError(
                f"The run started {started} validation videos: use the same shards, or a new "
                f"`run_dir`. Received: {setup.shards.folder} with the splits "
                f"{list(setup.shards.splits)}"
            )
        print(
            f"Resuming after epoch {state.epoch} of {self.config.epochs}, "
            f"step {state.step_in_epoch} of {setup.steps_per_epoch}."
        )
        return setup.checkpoint

    def _fit(
        self, checkpoint: Checkpoint, epochs: int, history: list[dict[str, float]]
    ) -> TrainingState:
        """Trains from a checkpoint to the end of an epoch; returns the state then."""
        state, config = checkpoint.state, self.config
        if checkpoint.variables:
            weights = {group: checkpoint.variables[group] for group in ("network", "optimizer")}
            checkpoints.assign_variables(self.learner, weights)
        progress = TrainingProgress(
            config.epochs,
            state.steps_per_epoch,
            config.data.batch_size,
            state.step_in_epoch,
            self.metrics.accuracy,
        )
        try:
            self.learner.fit(
                self.make_clips(state.step),
                epochs=epochs,
                initial_epoch=state.epoch,
                steps_per_epoch=state.steps_per_epoch - state.step_in_epoch,
                validation_data=self.validation,
                callbacks=self._callbacks(checkpoint, progress, history),
                shuffle=False,  # the clips are shuffled already
                verbose=0,  # TrainingProgress shows more
            )
        finally:
            progress.close()
        return dataclasses.replace(state, step=epochs * state.steps_per_epoch)

    def _callbacks(
        self, checkpoint: Checkpoint, progress: TrainingProgress, history: list[dict[str, float]]
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks, each after those it depends on."""
        state, config, folder = checkpoint.state, self.config, self.setup.folder
        is_chief, batches = self.setup.devices.is_chief, config.precise_bn_batches
        guard = StopOnNaN(
            folder, self._video_ids, state.steps_per_epoch, state.step_in_epoch, writes=is_chief
        )
        weights = EvaluationWeights(
            (lambda: self.make_statistics_clips(batches)) if batches else None
        )
        writer = EpochWriter(
            folder, history, weights, self.models, self.metrics.panels, writes=is_chief
        )
        saving = Checkpoints(
            folder,
            state,
            checkpoint.variables["metrics"] if state.step_in_epoch else None,
            config.checkpoints.every_steps,
            config.checkpoints.keep,
            writes=is_chief,
            history=history,
            check=guard.check,
        )
        # Progress adds learning rate and speed to the logs that the later ones write.
        callbacks = [guard, *([progress] if is_chief else []), weights, writer]
        if config.optimizer.schedule == "plateau":
            loss, rate = f"val_{self.metrics.loss}", highest_rate(config)
            factor, patience = config.optimizer.factor, config.optimizer.patience
            callbacks.append(Plateau(history, loss, rate, factor, patience))
        return [*callbacks, *self.make_callbacks(), saving]

    def _video_ids(self, step: int) -> list[str]:
        return training_reader(self.config, self.setup.shards).batch_videos(step)
