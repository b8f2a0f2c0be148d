"""Lowers the learning rate when the validation loss stalls."""

from __future__ import annotations

from typing import Any

import keras

from keras_t3d.optimization.schedules import plateau_rate


class Plateau(keras.callbacks.Callback):
    """Sets the rate of the next epoch by the history, in which all that it needs stands.

    Args:
        history: the finished epochs, which `EpochRecord` adds to; this one runs behind it.
        monitor: str. The loss in the history that must fall.
        learning_rate: float. The rate of the first epoch.
        factor: float.
        patience: int.
    """

    def __init__(
        self,
        history: list[dict[str, float]],
        monitor: str,
        learning_rate: float,
        factor: float,
        patience: int,
    ) -> None:
        super().__init__()
        self._history = history
        self._monitor = monitor
        self._learning_rate = learning_rate
        self._factor = factor
        self._patience = patience

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        losses = [row[self._monitor] for row in self._history]
        self.model.optimizer.learning_rate = plateau_rate(
            losses, self._learning_rate, factor=self._factor, patience=self._patience
        )
