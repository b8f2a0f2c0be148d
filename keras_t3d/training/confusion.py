"""The confusion matrix of the validation clips of each epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy


class Confusion(keras.callbacks.Callback):
    """Reads the counts of the metric after validation.

    On every machine: with several the counts lie on all of them together, and reading is a
    step that all take at once.

    Args:
        metric: MeanClassAccuracy, one of the model's.
    """

    def __init__(self, metric: MeanClassAccuracy) -> None:
        super().__init__()
        self.counts = np.zeros((metric.num_classes, metric.num_classes))
        self._metric = metric

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.counts = keras.ops.convert_to_numpy(self._metric.counts)
