"""Metrics of video scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from keras_t3d.evaluation.scores import VideoScores


def compute_metrics(scores: VideoScores) -> dict[str, Any]:
    """Computes accuracy at video level.

    Args:
        scores: VideoScores.

    Returns:
        Dict of `videos`, `top1`, `top5` (left out below 6 classes),
        `mean_class_accuracy` (over the classes that have videos) and
        `per_class`: videos and accuracy by class name (None without videos).

    Example:

    ```python
    compute_metrics(scores)["top1"]  # 0.95
    ```
    """
    labels, probabilities = scores.labels, scores.probabilities
    num_classes = len(scores.class_names)
    # The label's rank: how many classes score higher, or as high and stand before it.
    own = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(num_classes) < labels[:, None]
    rank = ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)
    per_class: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(scores.class_names):
        of_class = labels == index
        accuracy = float((rank[of_class] == 0).mean()) if of_class.any() else None
        per_class[name] = {"videos": int(of_class.sum()), "accuracy": accuracy}
    known = [c["accuracy"] for c in per_class.values() if c["accuracy"] is not None]
    metrics: dict[str, Any] = {"videos": len(labels), "top1": float((rank == 0).mean())}
    if num_classes > 5:
        metrics["top5"] = float((rank < 5).mean())
    return {**metrics, "mean_class_accuracy": float(np.mean(known)), "per_class": per_class}


def confusion(scores: VideoScores) -> np.ndarray:
    """Returns counts, int64 of shape (true classes, predicted classes)."""
    predicted = scores.probabilities.argmax(axis=1)
    return confusion_matrix(
        scores.labels, predicted, labels=np.arange(len(scores.class_names))
    ).astype(np.int64)
