"""Checkpoints that training resumes from, in files that are complete or absent.

`checkpoints/step-00001234.npz` holds the weights, the optimizer's variables, the random states of
dropout, the metrics of the unfinished epoch, and the step. The checksums of the zip file reveal
damage.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_t3d.atomic import written_durably
from keras_t3d.clips import ClipSpec
from keras_t3d.errors import KerasT3DError
from keras_t3d.training.config import CheckpointConfig
from keras_t3d.training.stop_on_nan import check_finite

FOLDER = "checkpoints"
_STATE = "state"
# Default names, which Keras numbers within a process.
_SEEDS = re.compile(r"\b(seed_generator)_\d+(?=/)")
_OPTIMIZERS = re.compile(r"^(\w+?)_\d+(?=/)")

Variables: TypeAlias = dict[str, dict[str, np.ndarray]]  # by group and path


class CheckpointError(KerasT3DError, ValueError):
    """A checkpoint is damaged, or belongs to another network or optimizer."""


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """Training progress, plus the model's input spec and class names.

    Attributes:
        step: steps done since the start of training.
        steps_per_epoch: training steps per epoch.
        clip_spec: the model's input.
        class_names: the model's classes; empty for a network without a classifying layer.
        has_validation: whether a validation split is evaluated after each epoch.
        history: metrics of the finished epochs, in order.
        teacher: fingerprint of the teacher of a pretraining.
    """

    step: int
    steps_per_epoch: int
    clip_spec: ClipSpec
    class_names: tuple[str, ...]
    has_validation: bool
    history: tuple[dict[str, float], ...] = ()
    teacher: str | None = None

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self.step // self.steps_per_epoch

    @property
    def step_in_epoch(self) -> int:
        """Steps done in the unfinished epoch."""
        return self.step % self.steps_per_epoch


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A training state, and the values of all variables."""

    state: TrainingState
    variables: Variables


def read_variables(learner: keras.Model) -> Variables:
    """Returns the values of all variables of training.

    With several machines, each of them must call it: some variables are spread over machines.
    """
    return {
        group: {path: keras.ops.convert_to_numpy(variable) for path, variable in variables.items()}
        for group, variables in _variables_by_path(learner).items()
    }


def assign_variables(learner: keras.Model, values: Variables) -> None:
    """Assigns the values that `read_variables` returned, or some groups of them.

    Raises:
        CheckpointError: if paths or shapes are not those of the learner's variables.
    """
    for group, variables in _variables_by_path(learner).items():
        if group not in values:
            continue
        expected = {path: tuple(variable.shape) for path, variable in variables.items()}
        received = {path: value.shape for path, value in values[group].items()}
        if expected != received:
            different = sorted(path for path, _ in expected.items() ^ received.items())
            raise CheckpointError(
                "The checkpoint is of another network or optimizer: use a new `run_dir`. "
                f"Received: {group} variables that differ in {different[:3]}"
            )
        for path, variable in variables.items():
            variable.assign(values[group][path].astype(variable.dtype))


def write_checkpoint(
    run_dir: pathlib.Path, state: TrainingState, variables: Variables, keep: int
) -> None:
    """Writes a checkpoint atomically, and deletes all but the `keep` newest ones."""
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    arrays = {
        f"{group}/{path}": _to_storable(value)
        for group, values in variables.items()
        for path, value in values.items()
    }
    content = dataclasses.asdict(state) | {"clip_spec": state.clip_spec.get_config()}
    content["arrays"] = sorted(arrays)
    arrays[_STATE] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    with written_durably(folder / f"step-{state.step:08d}.npz") as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    for old in checkpoint_paths(run_dir)[:-keep]:
        old.unlink(missing_ok=True)


def checkpoint_paths(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Returns the checkpoints of a run, oldest first."""
    return sorted((run_dir / FOLDER).glob("step-*.npz"))


def newest_checkpoint(run_dir: pathlib.Path) -> Checkpoint | None:
    """Reads the newest checkpoint that is not damaged, if any; prints the paths of damaged ones.

    Raises:
        CheckpointError: if there are checkpoints, and all of them are damaged.
    """
    paths = checkpoint_paths(run_dir)
    for path in reversed(paths):
        try:
            return _read(path)
        except Exception as error:  # damage can raise anything
            print(f"{path} is damaged ({error}): resuming from the checkpoint before it.")
    if paths:
        raise CheckpointError(
            "All checkpoints of the run are damaged: restore one, or start again in a new "
            f"`run_dir`. Received: {run_dir / FOLDER}"
        )
    return None


def _read(path: pathlib.Path) -> Checkpoint:
    variables: Variables = {}
    with np.load(path, allow_pickle=False) as file:
        content = json.loads(file[_STATE].tobytes())
        if sorted(file.files) != sorted([*content["arrays"], _STATE]):
            raise ValueError("arrays are missing")
        for name in content.pop("arrays"):
            group, variable_path = name.split("/", 1)
            variables.setdefault(group, {})[variable_path] = file[name]
    content["clip_spec"] = ClipSpec.from_config(content["clip_spec"])
    content["class_names"] = tuple(content["class_names"])
    content["history"] = tuple(content["history"])
    return Checkpoint(TrainingState(**content), variables)


def _variables_by_path(learner: keras.Model) -> dict[str, dict[str, Any]]:
    return {
        "network": _by_path(learner.checkpointed_variables),
        "optimizer": _by_path(learner.optimizer.variables, _OPTIMIZERS),
        "metrics": _by_path(learner.metrics_variables),
    }


def _by_path(variables: Iterable[Any], numbered: re.Pattern[str] = _SEEDS) -> dict[str, Any]:
    """Returns variables by their paths, without the numbers of default names.

    Variables that only the number tells apart are numbered in order: `seed_generator_state:1`.
    """
    found: dict[str, Any] = {}
    for variable in variables:
        path = numbered.sub(r"\1", variable.path)
        number = sum(known.split(":")[0] == path for known in found)
        found[f"{path}:{number}" if number else path] = variable
    return found


def _to_storable(value: np.ndarray) -> np.ndarray:
    """Converts bfloat16, which NumPy's files lack, to float32, which holds its values exactly."""
    is_storable = value.dtype.kind in "biuf" and value.dtype.name != "bfloat16"
    return value if is_storable else value.astype(np.float32)


@dataclasses.dataclass(eq=False)
class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, and during long epochs.

    Place it after the callbacks that write the other files of an epoch: if the process is killed
    in between, the epoch is trained again.

    Args:
        run_dir: the run directory.
        start: checkpoint at which this call of `fit` starts; it restores the metrics of an
            unfinished epoch.
        config: how often to write checkpoints, and how many to keep.
        history: metrics of the finished epochs, to which `EpochWriter` appends.
        check: called before each checkpoint; raises if it must not be written.
        writes: whether this machine writes files.
    """

    run_dir: pathlib.Path
    start: Checkpoint
    config: CheckpointConfig
    history: list[dict[str, float]]
    check: Callable[[], None]
    writes: bool

    def __post_init__(self) -> None:
        super().__init__()
        self._state = self.start.state
        self._metrics = self.start.variables["metrics"] if self._state.step_in_epoch else None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._metrics is not None:  # `fit` has just reset them
            assign_variables(self.model, {"metrics": self._metrics})
            self._metrics = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._state = dataclasses.replace(self._state, step=self._state.step + 1)
        if self._state.step_in_epoch and self._state.step % self.config.every_steps == 0:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._write()

    def _write(self) -> None:
        self.check()
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        check_finite(self.model.checkpointed_variables, self._state.epoch)
        variables = read_variables(self.model)
        if self.writes:
            state = dataclasses.replace(self._state, history=tuple(self.history))
            write_checkpoint(self.run_dir, state, variables, self.config.keep)
