"""Which predictions are right: the rank of the true class, and the mean over classes."""

from __future__ import annotations

import numpy as np


def label_ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many classes stand before the true one: 0 where it is the best.

    A class stands before another where its probability is higher, or as high and its id
    smaller, as `argmax` decides.

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
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)


def mean_class_accuracy(
    labels: np.ndarray, correct: np.ndarray, predictions: np.ndarray | None = None
) -> float:
    """Returns the mean of the classes' accuracies, over the classes that have predictions.

    Args:
        labels: int64 array (videos,). True class ids.
        correct: bool or int64 array (videos,). Right predictions of each video.
        predictions: int64 array (videos,). All predictions of each. Defaults to one.

    Returns:
        float, 0..1.

    Example:

    ```python
    mean_class_accuracy(np.array([0, 0, 1]), np.array([True, False, True]))  # 0.75
    ```
    """
    right = np.bincount(labels, weights=correct)
    every = np.bincount(labels, weights=predictions)
    present = every > 0
    return float((right[present] / every[present]).mean())
