"""What a run writes after each epoch: history, curves, the best and the last network."""

from __future__ import annotations

import csv
import pathlib
import time
from typing import Any

import keras

from keras_t3d.atomic import written_durably
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.loss_watch import check_finite
from keras_t3d.training.run_directory import BEST, HISTORY, LAST

MONITOR = "val_top1"


class EpochRecord(keras.callbacks.Callback):
    """Writes history.csv, curves.png, best.keras and last.keras.

    Args:
        folder: pathlib.Path. The run directory.
        history: the finished epochs; each new one is added to it.
        weights: EvaluationWeights. Those to be saved.
        writes: bool. Whether this machine writes.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        history: list[dict[str, float]],
        weights: EvaluationWeights,
        writes: bool,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.history = history
        self.weights = weights
        self.writes = writes
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        check_finite(self.model.network, epoch)
        logs = {} if logs is None else logs
        # Its mean counts padded clips, val_cross_entropy does not; gone for those behind, too.
        logs.pop("val_loss", None)
        values = {key: float(value) for key, value in logs.items()}
        seconds = round(time.perf_counter() - self._started, 3)
        row = {"epoch": epoch + 1, **values, "seconds": seconds}
        is_best = MONITOR not in row or row[MONITOR] > max(
            (before[MONITOR] for before in self.history), default=-1.0
        )
        self.history.append(row)
        with self.weights.in_place():  # on every machine: their weights lie on all together
            if self.writes:
                self._write(is_best)

    def _write(self, is_best: bool) -> None:
        with (
            written_durably(self.folder / HISTORY) as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(self.history[-1]))
            writer.writeheader()
            writer.writerows(self.history)
        with written_durably(self.folder / "curves.png") as part:
            _draw_curves(self.history, part)
        for name in (BEST, LAST) if is_best else (LAST,):
            with written_durably(self.folder / name) as part:
                self.model.network.save(part)


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
