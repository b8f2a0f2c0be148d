"""What a training run leaves behind, and how it goes on from there.

```
config.yaml       the whole configuration
environment.json  versions, devices, seed and command, one entry for each start
last.keras        model and optimizer after the last finished epoch
best.keras        the model to use
history.csv       one line for each epoch
curves.png        the same, drawn
tensorboard/      for `tensorboard --logdir`
```
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import pathlib
import platform
import sys
import time
import zipfile
from importlib import metadata
from typing import Any

import keras

from keras_t3d.atomic import write_text, written_beside
from keras_t3d.training.config import TrainConfig

CONFIG = "config.yaml"
HISTORY = "history.csv"
LAST = "last.keras"
BEST = "best.keras"
MONITOR = "val_top1"
_PROGRESS = "training.json"  # inside last.keras


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is. It lies inside last.keras, so that it cannot disagree with the weights."""

    epochs_done: int
    steps_per_epoch: int


def check(folder: str | os.PathLike[str], config: TrainConfig) -> pathlib.Path:
    """Checks that a run of this configuration may use the folder; writes nothing.

    Raises:
        ValueError: if it is a run of another configuration, or no run.
    """
    folder = pathlib.Path(folder)
    text = config.to_yaml()
    if (folder / CONFIG).is_file():
        before = (folder / CONFIG).read_text(encoding="utf-8")
        if before != text:
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


def read_progress(folder: pathlib.Path) -> Progress | None:
    """Returns how far the run is, or None before its first epoch is on disk."""
    path = folder / LAST
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as content:
            return Progress(**json.loads(content.read(_PROGRESS)))
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged ({error}): remove it to start the run again, or restore it."
        ) from None


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
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


class EpochRecord(keras.callbacks.Callback):
    """Writes what is known after each epoch: history, curves, best and last model.

    `last.keras` is written last and renamed into place: a run that is killed
    goes on from the last epoch that is wholly on disk.

    Args:
        folder: pathlib.Path. The run directory.
        epochs_done: int. Epochs that the model has finished already.
        steps_per_epoch: int.
        batch_size: int. For the clips a second in the history.

    Raises:
        ValueError: at the end of an epoch whose loss is no number; the files stay
            those of the epoch before.
    """

    def __init__(
        self, folder: pathlib.Path, epochs_done: int, steps_per_epoch: int, batch_size: int
    ) -> None:
        super().__init__()
        self.folder = folder
        # A kill between history and last.keras leaves one epoch too many.
        self.history = read_history(folder)[:epochs_done]
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.perf_counter() - self.started
        values = {key: float(value) for key, value in (logs or {}).items()}
        if not math.isfinite(values["loss"]):
            raise ValueError(
                f"The loss became {values['loss']} in epoch {epoch + 1}: the training diverged. "
                "Use a lower optimizer.learning_rate in a new run. "
                f"{self.folder} keeps the epoch before."
            )
        values.pop("val_loss", None)  # its mean counts padded clips; val_cross_entropy does not
        row = {
            "epoch": epoch + 1,
            **values,
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": round(seconds, 3),
            "clips_per_second": round(self.steps_per_epoch * self.batch_size / seconds, 2),
        }
        is_best = MONITOR not in row or row[MONITOR] > max(
            (before[MONITOR] for before in self.history), default=-1.0
        )
        self.history.append(row)
        self._write_history()
        if is_best:
            with written_beside(self.folder / BEST) as part:
                self.model.save(part)
        progress = Progress(epoch + 1, self.steps_per_epoch)
        with written_beside(self.folder / LAST) as part:
            self.model.save(part)
            with zipfile.ZipFile(part, "a") as content:
                content.writestr(_PROGRESS, json.dumps(dataclasses.asdict(progress)))

    def _write_history(self) -> None:
        with (
            written_beside(self.folder / HISTORY) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(self.history[-1]))
            writer.writeheader()
            writer.writerows(self.history)
        with written_beside(self.folder / "curves.png") as part:
            _draw_curves(self.history, part)


def _draw_curves(history: list[dict[str, float]], path: pathlib.Path) -> None:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = {
        "cross-entropy": ("cross_entropy", "val_cross_entropy"),
        "top-1": ("top1", "val_top1"),
        "learning rate": ("learning_rate",),
    }
    epochs = [row["epoch"] for row in history]
    for axes, (title, keys) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for key in keys:
            if key in history[-1]:
                label = "validation" if key.startswith("val_") else "training"
                axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)
