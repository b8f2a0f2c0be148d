"""What a run writes after each epoch: history, curves and networks."""

from __future__ import annotations

import csv
import math
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import keras

from keras_t3d.atomic import written_durably
from keras_t3d.training.evaluation_weights import EvaluationWeights
from keras_t3d.training.loss_watch import check_finite
from keras_t3d.training.run_directory import HISTORY


class EpochRecord(keras.callbacks.Callback):
    """Writes history.csv, curves.png and the network.

    Args:
        folder: pathlib.Path. The run directory.
        history: the finished epochs; each new one is added to it.
        weights: EvaluationWeights. Those to be saved.
        networks: by the names of the files that the network is written to: the figure that
            must be higher than in all epochs before; None, or a figure that the run has not,
            writes it after each epoch.
        panels: figures of each of the curves, by the panel's title.
        writes: bool. Whether this machine writes.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        history: list[dict[str, float]],
        weights: EvaluationWeights,
        networks: Mapping[str, str | None],
        panels: Mapping[str, tuple[str, ...]],
        writes: bool,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.history = history
        self.weights = weights
        self.networks = networks
        self.panels = panels
        self.writes = writes
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        check_finite(self.model.checkpointed_variables, epoch)
        logs = {} if logs is None else logs
        # Its mean counts padded clips, the loss by its own name does not; gone for those behind.
        logs.pop("val_loss", None)
        values = {key: float(value) for key, value in logs.items()}
        seconds = round(time.perf_counter() - self._started, 3)
        row = {"epoch": epoch + 1, **values, "seconds": seconds}
        names = [name for name, figure in self.networks.items() if self._is_best(row, figure)]
        self.history.append(row)
        with self.weights.in_place():  # on every machine: their weights lie on all together
            if self.writes:
                self._write(names)

    def _is_best(self, row: dict[str, float], figure: str | None) -> bool:
        if figure is None or figure not in row:
            return True
        return row[figure] > max((before[figure] for before in self.history), default=-math.inf)

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
        for name in names:
            with written_durably(self.folder / name) as part:
                self.model.network.save(part)


def _draw_curves(
    history: list[dict[str, float]], panels: Mapping[str, tuple[str, ...]], path: pathlib.Path
) -> None:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, (title, keys) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for key in keys:
            if key in history[-1]:
                label = "validation" if key.startswith("val_") else "training"
                axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, dpi=110)
