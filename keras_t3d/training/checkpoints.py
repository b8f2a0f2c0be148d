"""From where a run goes on: every variable of training, in files that are whole or absent.

`checkpoints/step-00001234.npz` holds the weights, the optimizer's slots and averages, the
random states of dropout, the metrics so far, and the step; its zip's checksums tell damage.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_t3d.atomic import written_durably
from keras_t3d.clips import ClipSpec
from keras_t3d.training.loss_watch import check_finite

FOLDER = "checkpoints"
_PLACE = "place"


@dataclasses.dataclass(frozen=True)
class Place:
    """How far a run is, and what its network reads and tells apart.

    Attributes:
        step: int. Steps done, from the first epoch on.
        steps_per_epoch: int.
        clip_spec: ClipSpec.
        class_names: str, one a class; none for a network without a classifying layer.
        validates: bool. Whether its epochs are measured on a validation split.
        history: the finished epochs, first to last.
        teacher: str. Fingerprint of a pretraining's teacher; None for other runs.
    """

    step: int
    steps_per_epoch: int
    clip_spec: ClipSpec
    class_names: tuple[str, ...]
    validates: bool
    history: tuple[dict[str, float], ...] = ()
    teacher: str | None = None

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self.step // self.steps_per_epoch

    @property
    def step_in_epoch(self) -> int:
        """Steps done of the epoch that is not finished."""
        return self.step % self.steps_per_epoch


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A place, and the values of all variables by group, in their order."""

    place: Place
    values: dict[str, list[np.ndarray]]


def read_state(learner: keras.Model) -> dict[str, list[np.ndarray]]:
    """Returns the values of all variables of training.

    On several machines all of them must call it: some values lie on all together.
    """
    return {
        group: [keras.ops.convert_to_numpy(variable) for variable in variables]
        for group, variables in _groups(learner).items()
    }


def assign_state(learner: keras.Model, values: dict[str, list[np.ndarray]]) -> None:
    """Assigns what `read_state` gave, or those of its groups that are there."""
    for group, variables in _groups(learner).items():
        if group not in values:
            continue
        if [v.shape for v in variables] != [tuple(value.shape) for value in values[group]]:
            raise ValueError(
                "The checkpoint is of another network or optimizer: use a new --run-dir. "
                f"Received: {len(values[group])} {group} variables for {len(variables)}"
            )
        for variable, value in zip(variables, values[group], strict=True):
            variable.assign(value.astype(variable.dtype))


def write_checkpoint(
    run_dir: pathlib.Path, place: Place, values: dict[str, list[np.ndarray]], keep: int
) -> None:
    """Writes a checkpoint beside, renames it into place, and removes all but the newest.

    Args:
        run_dir: pathlib.Path. The run directory.
        place: Place.
        values: what `read_state` gave.
        keep: int. Checkpoints to keep.
    """
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    said = dataclasses.asdict(place) | {"clip_spec": place.clip_spec.get_config()}
    arrays = {
        f"{group}/{index:05d}": _storable(value)
        for group, group_values in values.items()
        for index, value in enumerate(group_values)
    }
    said["arrays"] = sorted(arrays)
    arrays[_PLACE] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    with written_durably(folder / f"step-{place.step:08d}.npz") as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    for old in checkpoint_paths(run_dir)[:-keep]:
        old.unlink(missing_ok=True)


def checkpoint_paths(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """Returns the checkpoints of a run, oldest first."""
    return sorted((run_dir / FOLDER).glob("step-*.npz"))


def newest_checkpoint(run_dir: pathlib.Path) -> Checkpoint | None:
    """Reads the newest checkpoint that is whole; says which ones are damaged.

    Returns:
        A Checkpoint, or None if the run has none yet.

    Raises:
        ValueError: if there are checkpoints and every one is damaged.
    """
    paths = checkpoint_paths(run_dir)
    for path in reversed(paths):
        try:
            return _read(path)
        except Exception as error:  # whatever a flipped bit makes of a file
            print(f"{path} is damaged ({error}): going back to the checkpoint before.")
    if paths:
        raise ValueError(
            "Every checkpoint of the run is damaged: restore one, or start again in a new "
            f"--run-dir. Received: {run_dir / FOLDER}"
        )
    return None


def _read(path: pathlib.Path) -> Checkpoint:
    values: dict[str, list[np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as content:
        said = json.loads(content[_PLACE].tobytes())
        if sorted(content.files) != sorted([*said["arrays"], _PLACE]):
            raise ValueError("arrays are missing")
        for name in said.pop("arrays"):
            values.setdefault(name.split("/")[0], []).append(content[name])
    said["clip_spec"] = ClipSpec.from_config(said["clip_spec"])
    said["class_names"], said["history"] = tuple(said["class_names"]), tuple(said["history"])
    return Checkpoint(Place(**said), values)


def _groups(learner: keras.Model) -> dict[str, list[Any]]:
    return {
        "network": learner.checkpointed_variables,
        "optimizer": learner.optimizer.variables,
        "metrics": learner.metrics_variables,
    }


def _storable(value: np.ndarray) -> np.ndarray:
    """NumPy's files know no bfloat16; float32 holds its values exactly."""
    known = value.dtype.kind in "biuf" and value.dtype.name != "bfloat16"
    return value if known else value.astype(np.float32)


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch, and in its midst for long ones.

    Stands behind the callbacks that write the epoch's other files: a run that is
    killed between them does the epoch again.

    Args:
        run_dir: pathlib.Path.
        start: Place where this call of `fit` goes on.
        metrics: what the unfinished epoch's metrics are so far, by `read_state`; None at
            the beginning of an epoch.
        every_steps: int.
        keep: int.
        writes: bool. Whether this machine writes.
        history: the finished epochs, which `EpochRecord` adds to; it stands before this one.
        before: called before each, to refuse what must not be kept.
    """

    def __init__(
        self,
        run_dir: pathlib.Path,
        start: Place,
        metrics: list[np.ndarray] | None,
        every_steps: int,
        keep: int,
        writes: bool,
        history: list[dict[str, float]],
        before: Callable[[], None],
    ) -> None:
        super().__init__()
        self._run_dir = run_dir
        self._place = start
        self._metrics = metrics
        self._every_steps = every_steps
        self._keep = keep
        self._writes = writes
        self._history = history
        self._before = before

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._metrics is not None:  # `fit` has just reset them
            assign_state(self.model, {"metrics": self._metrics})
            self._metrics = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._place = dataclasses.replace(self._place, step=self._place.step + 1)
        if self._place.step_in_epoch and self._place.step % self._every_steps == 0:
            self._write()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._write()

    def _write(self) -> None:
        self._before()
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        check_finite(self.model.checkpointed_variables, self._place.epoch)
        values = read_state(self.model)
        if self._writes:
            place = dataclasses.replace(self._place, history=tuple(self._history))
            write_checkpoint(self._run_dir, place, values, self._keep)
