"""Stops training once no epoch gets better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_t3d.training.selection import Selection


class EarlyStopping(keras.callbacks.Callback):
    """Stops training once the selection is over.

    Args:
        selection: Selection.
        history: metrics of the finished epochs, to which another callback appends each epoch.
    """

    def __init__(self, selection: Selection, history: Sequence[Mapping[str, float]]) -> None:
        super().__init__()
        self._selection, self._history = selection, history

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._selection.is_over(self._history):
            self.model.stop_training = True
