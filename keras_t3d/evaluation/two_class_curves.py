"""ROC and precision-recall of a classifier of two classes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from keras_t3d.evaluation.scores import VideoScores


@dataclasses.dataclass(frozen=True, eq=False)
class TwoClassCurves:
    """What every threshold on the probability of the positive class does.

    Attributes:
        positive: name of the class with fewer videos; of equally many, the second.
        false_positive_rate: shares of the other class's videos above each threshold.
        true_positive_rate: shares of the positive class's videos above it: the ROC curve.
        precision: shares of the videos above each threshold that are positive.
        recall: shares of the positive class's videos above it.
        roc_auc: area under the ROC curve, 0.5 at chance.
        average_precision: mean precision over the recall; at chance the share of the class.
        share: share of the positive class in the videos.
    """

    positive: str
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    roc_auc: float
    average_precision: float
    share: float

    def metrics(self) -> dict[str, Any]:
        """Returns the curves as two numbers, for metrics.json."""
        return {
            "positive": self.positive,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
        }


def two_class_curves(scores: VideoScores) -> TwoClassCurves | None:
    """Returns the curves of two classes; None for more, or if one of them has no videos."""
    counts = np.bincount(scores.labels, minlength=len(scores.class_names))
    if len(scores.class_names) != 2 or not counts.all():
        return None
    positive = 0 if counts[0] < counts[1] else 1
    is_positive, probability = scores.labels == positive, scores.probabilities[:, positive]
    false_positive_rate, true_positive_rate, _ = roc_curve(is_positive, probability)
    precision, recall, _ = precision_recall_curve(is_positive, probability)
    return TwoClassCurves(
        positive=scores.class_names[positive],
        false_positive_rate=false_positive_rate,
        true_positive_rate=true_positive_rate,
        precision=precision,
        recall=recall,
        roc_auc=float(roc_auc_score(is_positive, probability)),
        average_precision=float(average_precision_score(is_positive, probability)),
        share=float(is_positive.mean()),
    )
