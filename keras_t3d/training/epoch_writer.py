"""Writes history, curves and models after each epoch."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
import shutil
import time
from collections.abc import Mapping
from typing import Any

import keras

from keras_t3d.atomic import written_durably
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.run_directory import HISTORY
from keras_t3d.training.selection import Selection
from keras_t3d.training.stop_on_nan import check_finite


@dataclasses.dataclass(eq=False)
class EpochWriter(keras.callbacks.Callback):
    """Writes history.csv, curves.png and the model after each epoch.

    Args:
        folder: the run directory.
        history: metrics of the finished epochs, to which each epoch is appended.
        weights: the weights to save.
        models: by file name, what selects the epoch to save; None saves each epoch.
        panels: metric of each panel of the curves, by title; that of validation is drawn too.
        writes: whether this machine writes files.
    """

    folder: pathlib.Path
    history: list[dict[str, float]]
    weights: EvaluationWeights
    models: Mapping[str, Selection | None]
    panels: Mapping[str, str]
    writes: bool

    def __post_init__(self) -> None:
        super().__init__()
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        check_finite(self.model.checkpointed_variables, epoch)
        logs = {} if logs is None else logs
        # It includes padded clips; the loss that is also a metric does not.
        logs.pop("val_loss", None)
        values = {key: float(value) for key, value in logs.items()}
        seconds = round(time.perf_counter() - self._started, 3)
        row = {"epoch": epoch + 1, **values, "seconds": seconds}
        self.history.append(row)
        last = len(self.history) - 1
        names = [
            name
            for name, selection in self.models.items()
            if selection is None or selection.best_epoch(self.history) == last
        ]
        with self.weights.in_place():  # on every machine: weights may be spread over machines
            if self.writes:
                self._write(names)

    def _write(self, names: list[str]) -> None:
        with (
            written_durably(self.folder / HISTORY) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(self.history[-1]))
            writer.writeheader()
            writer.writerows(self.history)
        with written_durably(self.folder / "curves.png") as part:
            _draw_curves(self.history, self.panels, part)
        saved: pathlib.Path | None = None
        for name in names:
            with written_durably(self.folder / name) as part:
                if saved is None:
                    self.model.network.save(part)
                else:  # the same network
                    shutil.copyfile(saved, part)
            saved = self.folder / name
            if self.models[name] is not None:
                with written_durably((self.folder / name).with_suffix(".json")) as part:
                    part.write_text(json.dumps(self.history[-1], indent=1) + "\n", "utf-8")


def _draw_curves(
    history: list[dict[str, float]], panels: Mapping[str, str], path: pathlib.Path
) -> None:
    from matplotlib.figure import Figure  # pyplot has global state and may need a display

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, (title, metric) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if key in history[-1]:
                axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)
