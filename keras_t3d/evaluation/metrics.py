"""Metrics of an evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from keras_t3d.evaluation.accuracy import label_ranks, mean_class_accuracy
from keras_t3d.evaluation.calibration import compute_calibration
from keras_t3d.evaluation.confidence_intervals import confidence_intervals
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.two_class_curves import two_class_curves

_MAX_PAIRS = 20


def compute_metrics(scores: VideoScores) -> dict[str, Any]:
    """Computes all metrics of an evaluation; docs/evaluation.md defines them.

    Args:
        scores: scores of the videos.

    Returns:
        Dict of JSON values without NaN:

            - `chance`: 1 / classes, the accuracy of guessing; `majority`: the share of the most
              frequent class of the split, the accuracy of always predicting it.
            - `videos`, `top1`, `top5` (omitted below 6 classes), `mean_class_accuracy` and
              `macro_f1` (both over the classes that have videos), of whole videos.
            - `two_classes`: `positive`, the class with fewer videos, `roc_auc` and
              `average_precision`; omitted for more classes.
            - `intervals`, see `confidence_intervals`.
            - `clip_level`: `clips`, `top1`, `top5` and `mean_class_accuracy` of single views;
              None if the scores have no view counts.
            - `calibration`, see `compute_calibration`.
            - `most_confused`: the 20 most frequent pairs of `true` and `predicted` class, with
              their number of `videos`.
            - `per_class`: by class name, see `class_metrics`.

    Example:

    ```python
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    scores = VideoScores(("a", "b"), np.array([1, 1]), probabilities, ("golf", "pour"))
    compute_metrics(scores)["top1"]  # 0.5
    ```
    """
    labels, num_classes = scores.labels, len(scores.class_names)
    ranks = label_ranks(scores.probabilities, labels)
    predicted = scores.probabilities.argmax(axis=1)
    metrics: dict[str, Any] = {
        "videos": len(labels),
        "chance": 1 / num_classes,
        "majority": float(np.bincount(labels).max() / len(labels)),
        "top1": float((ranks == 0).mean()),
    }
    if num_classes > 5:
        metrics["top5"] = float((ranks < 5).mean())
    present = np.unique(labels)
    curves = two_class_curves(scores)
    if curves is not None:
        metrics["two_classes"] = curves.metrics()
    return {
        **metrics,
        "mean_class_accuracy": mean_class_accuracy(labels, ranks == 0),
        "macro_f1": float(
            f1_score(labels, predicted, labels=present, average="macro", zero_division=0.0)
        ),
        "intervals": confidence_intervals(ranks, labels, num_classes),
        "clip_level": clip_metrics(scores),
        "calibration": compute_calibration(scores.probabilities.max(axis=1), ranks == 0),
        "most_confused": [
            {
                "true": scores.class_names[true],
                "predicted": scores.class_names[other],
                "videos": videos,
            }
            for true, other, videos in most_confused(confusion_counts(scores))[:_MAX_PAIRS]
        ],
        "per_class": class_metrics(scores),
    }


def clip_metrics(scores: VideoScores) -> dict[str, Any] | None:
    """Returns the accuracy of single views, or None if they are not known."""
    counts = scores.view_counts
    if counts is None:
        return None
    views = int(counts.views.sum())
    metrics: dict[str, Any] = {"clips": views, "top1": float(counts.top1.sum() / views)}
    if len(scores.class_names) > 5:
        metrics["top5"] = float(counts.top5.sum() / views)
    metrics["mean_class_accuracy"] = mean_class_accuracy(scores.labels, counts.top1, counts.views)
    return metrics


def class_metrics(scores: VideoScores) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each class.

    Returns:
        Dict by class name of dicts of `videos`, `accuracy`, `precision`, `recall` (equal to
        `accuracy`), `f1`, `confused_with`, the class most often predicted instead, and
        `confused_videos`, how often. `accuracy`, `recall`, `f1` and `confused_with` are None for
        a class without videos, `precision` for a class that is never predicted.
    """
    counts = confusion_counts(scores)
    predicted = scores.probabilities.argmax(axis=1)
    precisions, recalls, f1s, _ = precision_recall_fscore_support(
        scores.labels,
        predicted,
        labels=np.arange(len(scores.class_names)),
        zero_division=0.0,
    )
    table = {}
    for index, name in enumerate(scores.class_names):
        videos = int(counts[index].sum())
        errors = counts[index].copy()
        errors[index] = 0
        recall = float(recalls[index]) if videos else None
        table[name] = {
            "videos": videos,
            "accuracy": recall,
            "precision": float(precisions[index]) if counts[:, index].any() else None,
            "recall": recall,
            "f1": float(f1s[index]) if videos else None,
            "confused_with": scores.class_names[int(errors.argmax())] if errors.any() else None,
            "confused_videos": int(errors.max()),
        }
    return table


def most_confused(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """Returns (true class, predicted class, videos) of all confusions, most frequent first.

    Args:
        counts: int64 array (true classes, predicted classes), see `confusion_counts`.
    """
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    pairs = [
        (int(true), int(other), int(errors[true, other])) for true, other in np.argwhere(errors)
    ]
    return sorted(pairs, key=lambda pair: -pair[2])  # stable: then by class id


def confusion_counts(scores: VideoScores) -> np.ndarray:
    """Returns the confusion matrix, int64 array (true classes, predicted classes)."""
    predicted = scores.probabilities.argmax(axis=1)
    with warnings.catch_warnings():
        # It warns about a single class although all labels are passed.
        warnings.filterwarnings("ignore", message="A single label was found")
        return confusion_matrix(
            scores.labels, predicted, labels=np.arange(len(scores.class_names))
        ).astype(np.int64)
