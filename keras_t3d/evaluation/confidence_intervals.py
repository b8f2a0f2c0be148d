"""Confidence intervals of accuracies."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np

LEVEL = 0.95
RESAMPLES = 1000
SEED = 0


def confidence_intervals(
    ranks: np.ndarray, labels: np.ndarray, num_classes: int, seed: int = SEED
) -> dict[str, Any]:
    """Computes 95 % confidence intervals of accuracies.

    Those of the accuracy of all videos are Wilson's. That of the mean class accuracy is a
    percentile bootstrap: 1000 times, as many videos are drawn with replacement of each class as it
    has, and the interval reaches from the 2.5 % to the 97.5 % quantile of their means. A class of
    one video is the same in all samples. The intervals show the uncertainty due to the choice of
    videos in the split, not that due to training.

    Args:
        ranks: int64 array (videos,), see `label_ranks`.
        labels: int64 array (videos,). True class ids.
        num_classes: number of classes.
        seed: seed of the samples.

    Returns:
        Dict of `level`, `resamples`, `seed`, and [low, high] of `top1`, `top5` (omitted below 6
        classes) and `mean_class_accuracy` (over the classes that have videos).

    Example:

    ```python
    ranks, labels = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])
    confidence_intervals(ranks, labels, num_classes=2)["top1"]  # [low, high]
    ```

    Reference:
        Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927;
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13
    """
    videos = len(labels)
    intervals = {"top1": wilson_interval(int((ranks == 0).sum()), videos)}
    if num_classes > 5:
        intervals["top5"] = wilson_interval(int((ranks < 5).sum()), videos)
    samples = _mean_class_accuracies(ranks == 0, labels, np.random.default_rng(seed))
    outside = (1 - LEVEL) / 2
    intervals["mean_class_accuracy"] = np.quantile(samples, [outside, 1 - outside]).tolist()
    return {"level": LEVEL, "resamples": RESAMPLES, "seed": seed, **intervals}


def wilson_interval(successes: int, trials: int) -> list[float]:
    """Returns [low, high] of a share; unlike a bootstrap's, it has a width at 0 and at 1.

    Args:
        successes: number of successes.
        trials: number of trials, at least 1.
    """
    share, z = successes / trials, statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    low, high = ((middle + sign * half) / (1 + z**2 / trials) for sign in (-1, 1))
    return [max(low, 0.0), min(high, 1.0)]


def _mean_class_accuracies(
    correct: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns the mean class accuracy of each sample that is drawn within the classes.

    Of n videos that are drawn with replacement from n, of which k are correct, the number of
    correct ones is binomial (n, k / n).
    """
    _, classes, videos = np.unique(labels, return_inverse=True, return_counts=True)
    accuracies = np.bincount(classes, weights=correct) / videos
    drawn = random.binomial(videos, accuracies, (RESAMPLES, len(videos)))
    return (drawn / videos).mean(axis=1)
