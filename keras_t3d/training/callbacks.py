"""Small callbacks of `train` and `pretrain`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy
from keras_t3d.optimization.schedules import plateau_rate


class Plateau(keras.callbacks.Callback):
    """Lowers the learning rate when the validation loss stops falling.

    The rate depends on the history only, so that a resumed run continues with the same rate.

    Args:
        history: metrics of the finished epochs; place this after `EpochWriter`, which appends.
        monitor: name of the loss in the history.
        learning_rate: rate of the first epoch.
        factor: factor of the rate.
        patience: epochs without a lower loss before the rate is lowered.
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


class ConfusionMatrix(keras.callbacks.Callback):
    """Keeps the confusion matrix of the last validation in `counts`.

    With several machines it runs on each of them, as the metric is spread over machines.

    Args:
        metric: a metric of the model.
    """

    def __init__(self, metric: MeanClassAccuracy) -> None:
        super().__init__()
        self.counts = np.zeros((metric.num_classes, metric.num_classes))
        self._metric = metric

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.counts = keras.ops.convert_to_numpy(self._metric.counts)


class CheckPairs(keras.callbacks.Callback):
    """Stops a pretraining whose first batch has no clips to compare.

    Raises:
        InvalidArgumentError: in `fit`, if all clips of the first batch are of one video.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if batch == 0 and (logs or {}).get("transfer_loss") == 0:
            raise InvalidArgumentError(
                "A batch must hold clips of several videos, which are compared with each other: "
                "convert more videos (parts of one video count as one), lower "
                "`data.augmentation.repeats`, or raise `data.batch_size`. "
                "Received: a first batch without a pair",
                argument="data.batch_size",
            )
