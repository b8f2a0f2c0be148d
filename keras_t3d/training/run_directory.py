"""What a training run leaves behind, and how it goes on from there.

```
config.yaml       the whole configuration
environment.json  versions, devices, seed and command, one entry for each start
checkpoints/      from where the run goes on
last.keras        the network after the last finished epoch
best.keras        the network to use
student.keras     of a pretraining, in place of both: after the last finished epoch
history.csv       one line for each epoch
curves.png        the same, drawn
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
from collections.abc import Iterator
from importlib import metadata

import keras

from keras_t3d.atomic import written_durably
from keras_t3d.folder_lock import lock
from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.config import RunConfig

CONFIG = "config.yaml"
HISTORY = "history.csv"
LAST = "last.keras"
BEST = "best.keras"
STUDENT = "student.keras"
LOCK = ".lock"


def check(folder: str | os.PathLike[str], config: RunConfig) -> pathlib.Path:
    """Checks that a run of this configuration may use the folder; writes nothing.

    A run that never got to its first checkpoint may be started again in another way.

    Raises:
        ValueError: if it is a run of another configuration, or no run.
    """
    folder = pathlib.Path(folder)
    text = config.to_yaml()
    if (folder / CONFIG).is_file():
        before = (folder / CONFIG).read_text(encoding="utf-8")
        if before != text and checkpoint_paths(folder):
            old, new = before.splitlines(), text.splitlines()
            changed = [line.strip() for line in new if line not in old][:5]
            raise ValueError(
                "The run directory was started with another configuration: use a new --run-dir, or "
                f"its own config ({folder / CONFIG}). Received: {folder}, where now differ: "
                f"{changed}"
            )
    elif folder.exists() and (not folder.is_dir() or _holds_something(folder)):
        raise ValueError(
            "--run-dir must be new, empty, or a run to go on with. "
            f"Received: {folder}, which holds something else"
        )
    return folder


def _holds_something(folder: pathlib.Path) -> bool:
    """Whether there is more than what a kill may leave of a start."""
    return any(not path.name.startswith((".part-", LOCK)) for path in folder.iterdir())


@contextlib.contextmanager
def started(folder: pathlib.Path, config: RunConfig, devices: list[str]) -> Iterator[None]:
    """Keeps the folder for this process, and writes down what a result comes from.

    Writes config.yaml, and adds this start to environment.json.

    Raises:
        ValueError: if another process trains there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        lock(
            file,
            "Another process is training in --run-dir: wait for it, stop it, or use another. "
            f"Received: {folder}",
        )
        for cut_short in folder.rglob(".part-*"):  # by a kill
            cut_short.unlink(missing_ok=True)
        _record_start(folder, config, devices)
        yield


def _record_start(folder: pathlib.Path, config: RunConfig, devices: list[str]) -> None:
    with written_durably(folder / CONFIG) as part:
        part.write_text(config.to_yaml(), encoding="utf-8")
    path = folder / "environment.json"
    starts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    packages = ("keras-t3d", "keras", "tensorflow", "jax", "torch", "numpy", "av")
    installed = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.name}
    starts.append(
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": sys.argv[:1] and [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
            "seed": config.seed,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "devices": devices,
            "backend": keras.backend.backend(),
            "packages": {name: installed[name] for name in packages if name in installed},
        }
    )
    with written_durably(path) as part:
        part.write_text(json.dumps(starts, indent=1) + "\n", encoding="utf-8")


def read_history(folder: pathlib.Path) -> list[dict[str, float]]:
    """Returns the finished epochs, first to last."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{**row, "epoch": int(row["epoch"])} for row in rows]
