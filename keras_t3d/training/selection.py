"""Selects the epoch whose model is kept as best.keras, and the one after which training stops."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from keras_t3d.training.validation import check_values

_SMOOTHED = 5  # epochs


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """Which epoch's model is best.keras, and when training stops.

    Args:
        by: smoothed_top1, the highest mean accuracy of the last five epochs, of validation; top1,
            the highest accuracy, which on a small split is a matter of chance; or cross_entropy,
            the lowest, which networks trained from scratch on few videos often have before they
            learn anything. Of equal epochs the latest is kept.
        patience: epochs without a better one after which training stops; null trains all.
    """

    by: Literal["smoothed_top1", "top1", "cross_entropy"] = "smoothed_top1"
    patience: int | None = None

    def __post_init__(self) -> None:
        patience = self.patience
        check_values(
            self,
            "best",
            ("patience", patience is None or patience >= 1, "at least 1, for example 10, or null"),
        )

    def best_epoch(self, history: Sequence[Mapping[str, float]]) -> int:
        """Returns the index of the best epoch; the last one without validation.

        Args:
            history: the metrics of each epoch, at least one.
        """
        metric = "val_cross_entropy" if self.by == "cross_entropy" else "val_top1"
        if metric not in history[-1]:
            return len(history) - 1
        values = np.array([row[metric] for row in history])
        if self.by == "cross_entropy":
            values = -values
        if self.by == "smoothed_top1":
            values = np.array(
                [values[max(end - _SMOOTHED, 0) : end].mean() for end in range(1, len(values) + 1)]
            )
        values = np.nan_to_num(values, nan=-np.inf)  # no epoch that diverged
        return len(values) - 1 - int(np.argmax(values[::-1]))

    def is_over(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Returns whether training stops here, as no epoch of the last `patience` was better."""
        if self.patience is None or not history:
            return False
        return len(history) - 1 - self.best_epoch(history) >= self.patience
