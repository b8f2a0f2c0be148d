"""What a training run leaves behind, and how it goes on from there.

```
config.yaml       the whole configuration
environment.json  versions, devices, seed and command, one entry for each start
checkpoints/      from where the run goes on
last.keras        the network after the last finished epoch
best.keras        the network to use
history.csv       one line for each epoch
curves.png        the same, drawn
tensorboard/      for `tensorboard --logdir`
```
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import platform
import sys
import time
from importlib import metadata

import keras

from keras_t3d.atomic import write_text
from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.config import TrainConfig

CONFIG = "config.yaml"
HISTORY = "history.csv"
LAST = "last.keras"
BEST = "best.keras"


def check(folder: str | os.PathLike[str], config: TrainConfig) -> pathlib.Path:
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
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            "--run-dir must be new, empty, or a run to go on with. "
            f"Received: {folder}, which holds something else"
        )
    return folder


def record_start(folder: pathlib.Path, config: TrainConfig, devices: list[str]) -> None:
    """Writes config.yaml, and adds this start to environment.json: what a result came from."""
    for cut_short in folder.glob(".part-*"):  # by a kill
        cut_short.unlink()
    write_text(folder / CONFIG, config.to_yaml())
    path = folder / "environment.json"
    starts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    packages = ("keras-t3d", "keras", "tensorflow", "numpy", "av")
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
            "packages": {name: metadata.version(name) for name in packages},
        }
    )
    write_text(path, json.dumps(starts, indent=1) + "\n")


def read_history(folder: pathlib.Path) -> list[dict[str, float]]:
    """Returns the finished epochs, first to last."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [{**row, "epoch": int(row["epoch"])} for row in rows]
