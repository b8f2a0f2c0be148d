"""Steps that training and pretraining share: prepare a run, call `fit`, write the files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import keras

from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.optimization.learner import Learner
from keras_t3d.optimization.schedules import plateau_rate
from keras_t3d.training import checkpoints, run_directory
from keras_t3d.training.checkpoints import Checkpoint, Checkpoints, TrainingState
from keras_t3d.training.clips import training_reader, validation_split
from keras_t3d.training.config import RunConfig
from keras_t3d.training.devices import (
    Devices,
    check_batch_size,
    check_same_step,
    explain_lost_machine,
    find_devices,
)
from keras_t3d.training.early_stopping import EarlyStopping
from keras_t3d.training.epoch_writer import EpochWriter
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.objective import highest_rate
from keras_t3d.training.progress import TrainingProgress
from keras_t3d.training.selection import Selection, SelectionConfig
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

    def is_finished(self, epochs: int, selection: SelectionConfig | None = None) -> bool:
        """Returns True, and prints a notice, if all epochs are done, or the run stopped early.

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
        if selection is not None and not state.step_in_epoch and selection.is_over(state.history):
            print(f"{self.folder}: training stopped after epoch {state.epoch}; nothing was done.")
        elif state.epoch >= epochs:
            print(f"{self.folder}: all {epochs} epochs are done; nothing was done.")
        else:
            return False
        return True


C = TypeVar("C", bound=RunConfig)


def with_enough_epochs(config: C) -> C:
    """Returns a configuration whose epochs have at least `min_steps` steps together."""
    if not config.min_steps:
        return config
    steps = training_reader(config, ShardSet.open(config.data.shards)).steps_per_epoch
    return dataclasses.replace(config, epochs=max(config.epochs, -(-config.min_steps // steps)))


def prepare_run(config: RunConfig, run_dir: str | os.PathLike[str]) -> RunSetup:
    """Opens shards and checkpoint of a run, and finds devices. Call it before TensorFlow runs.

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


class Batches(Protocol):
    """The batches that a run reads."""

    def check(self) -> None:
        """Checks that the shards have the clips, before anything is written."""

    def training(self, step: int) -> Any:
        """Returns endless training batches from a step on."""

    def validation(self) -> Any | None:
        """Returns the batches of the validation split, or None without one."""

    def statistics(self, count: int) -> Iterator[Any]:
        """Returns the clips of the first `count` training batches, distributed over devices."""


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A learner with its data, metrics and files.

    Attributes:
        config: configuration of the run.
        setup: its folder, shards, devices and checkpoint.
        learner: the learner, compiled.
        batches: what it reads.
        metrics: by title in curves.png, the two metrics to monitor: the loss, which the plateau
            schedule uses, and the accuracy, which the progress display shows.
        models: model files, see `EpochWriter`.
        make_callbacks: returns further callbacks for each call of `fit`.
        teacher: fingerprint of the teacher, or None.
    """

    config: RunConfig
    setup: RunSetup
    learner: Learner
    batches: Batches
    metrics: Mapping[str, str]
    models: Mapping[str, Selection | None]
    make_callbacks: Callable[[], Sequence[keras.callbacks.Callback]]
    teacher: str | None = None

    def fit(self) -> None:
        """Trains from the newest checkpoint to the end of the last epoch.

        Raises:
            KerasT3DError: if the clips do not fit, before anything is written; or if another
                process trains in the folder, or the loss becomes NaN or infinite.
        """
        config, setup = self.config, self.setup
        self.batches.check()
        checkpoint = self._checkpoint(validation_split(config, setup.shards) is not None)
        history = list(checkpoint.state.history)
        with (
            run_directory.started(setup.folder, config, list(setup.devices.names))
            if setup.devices.is_chief
            else contextlib.nullcontext(),
            damage_named(setup.shards),
            explain_lost_machine(setup.devices),
        ):
            validation = self.batches.validation()
            # `fit` starts with a whole epoch, so the rest of an epoch needs a call of its own.
            if checkpoint.state.step_in_epoch:
                state = self._fit(checkpoint, checkpoint.state.epoch + 1, history, validation)
                checkpoint = Checkpoint(state, variables={})
            if self._is_over(history):
                return
            if checkpoint.state.epoch < config.epochs:
                self._fit(checkpoint, config.epochs, history, validation)

    def _is_over(self, history: list[dict[str, float]]) -> bool:
        return any(selection and selection.is_over(history) for selection in self.models.values())

    def _checkpoint(self, has_validation: bool) -> Checkpoint:
        """Returns the checkpoint to resume from, or the initial one."""
        setup, network = self.setup, self.learner.network
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
        self, checkpoint: Checkpoint, epochs: int, history: list[dict[str, float]], validation: Any
    ) -> TrainingState:
        """Trains from a checkpoint to the end of an epoch; returns the state then."""
        state, config = checkpoint.state, self.config
        if checkpoint.variables:
            weights = {group: checkpoint.variables[group] for group in ("network", "optimizer")}
            checkpoints.assign_variables(self.learner, weights)
        loss, accuracy = self.metrics.values()
        progress = TrainingProgress(
            config.epochs,
            state.steps_per_epoch,
            config.data.batch_size,
            state.step_in_epoch,
            accuracy,
            loss,
        )
        try:
            self.learner.fit(
                self.batches.training(state.step),
                epochs=epochs,
                initial_epoch=state.epoch,
                steps_per_epoch=state.steps_per_epoch - state.step_in_epoch,
                validation_data=validation,
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
        state, config, setup = checkpoint.state, self.config, self.setup
        is_chief, batches = setup.devices.is_chief, config.precise_bn_batches
        guard = StopOnNaN(
            setup.folder,
            lambda step: training_reader(config, setup.shards).batch_videos(step),
            state.steps_per_epoch,
            state.step_in_epoch,
            writes=is_chief,
        )
        statistics = functools.partial(self.batches.statistics, batches)
        weights = EvaluationWeights(statistics if batches else None)
        panels = {**self.metrics, "learning rate": "learning_rate"}
        writer = EpochWriter(setup.folder, history, weights, self.models, panels, is_chief)
        saving = Checkpoints(
            setup.folder, checkpoint, config.checkpoints, history, guard.check, is_chief
        )
        # Progress adds learning rate and speed to the logs that the later ones write.
        callbacks = [guard, *([progress] if is_chief else []), weights, writer]
        if config.optimizer.schedule == "plateau":
            lower_rate = functools.partial(self._lower_rate, history)
            callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=lower_rate))
        stopping = [EarlyStopping(s, history) for s in self.models.values() if s is not None]
        return [*callbacks, *self.make_callbacks(), saving, *stopping]

    def _lower_rate(self, history: list[dict[str, float]], epoch: int, logs: Any) -> None:
        """Sets the rate of the plateau schedule; it depends only on the history."""
        loss, _ = self.metrics.values()
        self.learner.optimizer.learning_rate = plateau_rate(
            [row[f"val_{loss}"] for row in history],
            highest_rate(self.config),
            factor=self.config.optimizer.factor,
            patience=self.config.optimizer.patience,
        )
