"""The files of a run.

```
config.yaml       the whole configuration
environment.json  versions, devices, seed, directory and command of each start
checkpoints/      checkpoints to resume from
last.keras        the model after the last finished epoch
best.keras        the model of the epoch that `best` selects
best.json         that epoch's metrics
probe.keras       with `probe`: the network before training, with a fitted classifying layer
probe.json        its accuracy on the validation split
student.keras     of a pretraining, instead of both: the model after the last finished epoch
stored_features/  with `stored_views`: outputs of the frozen stages, until the run ends
history.csv       metrics, one line per epoch
curves.png        plots of the metrics
tensorboard/      for `tensorboard --logdir`
```
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import keras
import yaml

from keras_t3d import artifact_files
from keras_t3d.atomic import written_durably
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.folder_lock import lock
from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.config import RunConfig

CONFIG, ENVIRONMENT, BEST, STUDENT, LAST = (
    artifact_files.CONFIG,
    artifact_files.ENVIRONMENT,
    artifact_files.BEST,
    artifact_files.STUDENT,
    artifact_files.LAST,
)
HISTORY = "history.csv"
PROBE = "probe.keras"
STORED_FEATURES = "stored_features"
LOCK = ".lock"
_PATHS = ("shards", "network", "inflate")  # options that are, or may be, paths


def check(folder: str | os.PathLike[str], config: RunConfig) -> pathlib.Path:
    """Returns the folder if a run may use it; writes nothing.

    A run without a checkpoint may be started again with another configuration.

    Raises:
        InvalidArgumentError: if it holds a run of another configuration, or other files.
    """
    folder = pathlib.Path(folder)
    text = config.to_yaml()
    if (folder / CONFIG).is_file():
        before = (folder / CONFIG).read_text(encoding="utf-8")
        where = _starts(folder)[-1:] or [{}]
        differs = _meant(before, where[0].get("directory", "")) != _meant(text)
        if differs and checkpoint_paths(folder):
            old, new = before.splitlines(), text.splitlines()
            changed = [line.strip() for line in new if line not in old][:5]
            raise InvalidArgumentError(
                "The run was started with another configuration: use a new `run_dir`, or its own "
                f"configuration, {folder / CONFIG}. Received: {folder} with other values: "
                f"{changed}",
                argument="run_dir",
            )
    elif folder.exists() and (not folder.is_dir() or _has_files(folder)):
        raise InvalidArgumentError(
            "`run_dir` must be new, empty, or a run to resume. "
            f"Received: {folder}, which holds other files",
            argument="run_dir",
        )
    return folder


def _meant(text: str, directory: str = "") -> Any:
    """Returns a configuration in which paths are the same however they are spelled.

    Args:
        text: YAML.
        directory: where the run was started, from which paths count.
    """

    def resolved(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: resolved(item, key) for key, item in value.items()}
        if name in _PATHS and isinstance(value, str):
            path = os.path.join(directory, value)
            return os.path.realpath(path) if os.path.exists(path) else value
        return value

    return resolved(yaml.safe_load(text))


def _has_files(folder: pathlib.Path) -> bool:
    """Returns whether there are files other than those of a start that was killed."""
    ours = (".part-", LOCK, "probe.")
    return any(not path.name.startswith(ours) for path in folder.iterdir())


@contextlib.contextmanager
def started(folder: pathlib.Path, config: RunConfig, devices: list[str]) -> Iterator[None]:
    """Locks the folder for this process, and records configuration and environment of this start.

    Raises:
        InvalidArgumentError: if another process trains in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        lock(
            file,
            "Another process is training in `run_dir`: wait for it, stop it, or use another "
            f"folder. Received: {folder}",
        )
        for incomplete in folder.rglob(".part-*"):  # of a killed process
            incomplete.unlink(missing_ok=True)
        _record_start(folder, config, devices)
        yield


def _record_start(folder: pathlib.Path, config: RunConfig, devices: list[str]) -> None:
    with written_durably(folder / CONFIG) as part:
        part.write_text(config.to_yaml(), encoding="utf-8")
    starts = _starts(folder)
    packages = {}
    for name in ("keras-t3d", "keras", "tensorflow", "jax", "torch", "numpy", "av"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    starts.append(
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "directory": os.getcwd(),
            "command": sys.argv[:1] and [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
            "seed": config.seed,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "devices": devices,
            "backend": keras.backend.backend(),
            "packages": packages,
        }
    )
    with written_durably(folder / ENVIRONMENT) as part:
        part.write_text(json.dumps(starts, indent=1) + "\n", encoding="utf-8")


def _starts(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Returns what was recorded of each start of the run."""
    path = folder / ENVIRONMENT
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def read_history(folder: pathlib.Path) -> list[dict[str, float]]:
    """Returns the metrics of the finished epochs, in order.

    Args:
        folder: the run directory.

    Returns:
        A dict per epoch: `"epoch"`, counted from 1, and the metrics of `history.csv`.
    """
    path = folder / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{**row, "epoch": int(row["epoch"])} for row in rows]


def print_results(folder: str | os.PathLike[str], model: str, *metrics: str) -> None:
    """Prints the last epoch's metrics, and the files, with the epoch that the model is of."""
    folder = pathlib.Path(folder)
    last = read_history(folder)[-1]
    print(f"Epoch {last['epoch']}: {_values(last, metrics)}")
    selected = (folder / model).with_suffix(".json")
    of_epoch = ""
    if selected.is_file():
        best = json.loads(selected.read_text(encoding="utf-8"))
        of_epoch = f" (epoch {best['epoch']}: {_values(best, metrics)})"
    print(f"{folder / model}{of_epoch}; beside it history.csv, curves.png, tensorboard/")


def _values(row: dict[str, float], metrics: Sequence[str]) -> str:
    return ", ".join(f"{name} {row[name]:.4f}" for name in metrics if name in row)
