"""Selects the epoch whose model is kept as best.keras, and the one after which training stops."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from keras_t3d.training.validation import check_values

_SMOOTHED = 5  # epochs


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """Which epoch's model is best.keras, and when training stops.

    Args:
        by: smoothed_top1, the highest mean accuracy of the last five epochs, of validation, to
            within the standard error of so many videos; top1, the highest accuracy, which on a
            small split is a matter of chance; or cross_entropy, the lowest, which networks
            trained from scratch on few videos often have before they learn anything. Of equal
            epochs the latest is kept.
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

    def best_epoch(
        self, history: Sequence[Mapping[str, float]], num_videos: int | None = None
    ) -> int:
        """Returns the index of the best epoch; the last one without validation.

        Args:
            history: the metrics of each epoch, at least one.
            num_videos: videos of the validation split, for their standard error.
        """
        values = self._values(history)
        highest, error = values.max(), 0.0
        if self.by == "smoothed_top1" and num_videos:
            error = _standard_error(float(highest), num_videos)
        return int(np.flatnonzero(values >= highest - error)[-1])

    def is_over(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Returns whether training stops here, as no epoch of the last `patience` was better."""
        if self.patience is None or not history or "val_top1" not in history[-1]:
            return False
        return len(history) - 1 - int(np.argmax(self._values(history))) >= self.patience

    def _values(self, history: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Returns a value of each epoch, highest where it is best; zeros without validation."""
        metric = "val_cross_entropy" if self.by == "cross_entropy" else "val_top1"
        if metric not in history[-1]:
            return np.zeros(len(history))
        values = np.array([row[metric] for row in history])
        if self.by == "cross_entropy":
            values = -values
        if self.by == "smoothed_top1":
            values = np.array(
                [values[max(end - _SMOOTHED, 0) : end].mean() for end in range(1, len(values) + 1)]
            )
        return np.nan_to_num(values, nan=-np.inf)  # no epoch that diverged


@dataclasses.dataclass(frozen=True)
class Selection:
    """A SelectionConfig and the number of validation videos that it selects by.

    Args:
        config: SelectionConfig.
        num_videos: videos of the validation split; None without one.
    """

    config: SelectionConfig
    num_videos: int | None

    def best_epoch(self, history: Sequence[Mapping[str, float]]) -> int:
        """See SelectionConfig."""
        return self.config.best_epoch(history, self.num_videos)

    def is_over(self, history: Sequence[Mapping[str, float]]) -> bool:
        """See SelectionConfig."""
        return self.config.is_over(history)


def _standard_error(accuracy: float, num_videos: int) -> float:
    """Returns the standard error of an accuracy; with one right and one wrong more, never 0."""
    share = (accuracy * num_videos + 1) / (num_videos + 2)
    return math.sqrt(share * (1 - share) / num_videos)
