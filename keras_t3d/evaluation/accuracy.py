"""Accuracy of predictions: the rank of the true class, and the mean over classes."""

from __future__ import annotations

import numpy as np


def label_ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the rank of the true class in each prediction: 0 if it is the most probable.

    Of equally probable classes, the one with the smaller id ranks first, as for `argmax`.

    Args:
        probabilities: float array (predictions, classes).
        labels: int64 array (predictions,). True class ids.

    Returns:
        int64 array (predictions,).

    Example:

    ```python
    label_ranks(np.array([[0.2, 0.7, 0.1]]), np.array([0]))  # [1]
    ```
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    has_smaller_id = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > own) | ((probabilities == own) & has_smaller_id)).sum(axis=1)


def mean_class_accuracy(
    labels: np.ndarray, correct: np.ndarray, predictions: np.ndarray | None = None
) -> float:
    """Returns the mean of the classes' accuracies, over the classes that have predictions.

    Args:
        labels: int64 array (videos,). True class ids.
        correct: bool or int64 array (videos,). Number of correct predictions of each video.
        predictions: int64 array (videos,). Number of predictions of each video; None counts one.

    Returns:
        Mean accuracy, 0..1.

    Example:

    ```python
    mean_class_accuracy(np.array([0, 0, 1]), np.array([True, False, True]))  # 0.75
    ```
    """
    correct_by_class = np.bincount(labels, weights=correct)
    total_by_class = np.bincount(labels, weights=predictions)
    present = total_by_class > 0
    return float((correct_by_class[present] / total_by_class[present]).mean())
