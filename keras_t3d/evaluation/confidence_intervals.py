"""Bootstrap confidence intervals of metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

LEVEL = 0.95
RESAMPLES = 1000
SEED = 0


def bootstrap_intervals(
    ranks: np.ndarray, labels: np.ndarray, num_classes: int, seed: int = SEED
) -> dict[str, Any]:
    """Computes 95 % confidence intervals by the percentile bootstrap over videos.

    1000 samples of as many videos are drawn with replacement, and the metrics computed for each;
    an interval reaches from the 2.5 % to the 97.5 % quantile of a metric. For the mean class
    accuracy, as many videos are drawn of each class as it has: otherwise classes of few videos
    would be absent from many samples. A class of one video is the same in all samples. The
    intervals show the uncertainty due to the choice of videos in the split, not that due to
    training.

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
    bootstrap_intervals(ranks, labels, num_classes=2)["top1"]  # [low, high]
    ```

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13
    """
    random = np.random.default_rng(seed)
    num_videos = len(labels)
    top1, top5 = [], []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, num_videos, num_videos)
        top1.append((ranks[drawn] == 0).mean())
        top5.append((ranks[drawn] < 5).mean())
    samples = {"top1": np.array(top1)}
    if num_classes > 5:
        samples["top5"] = np.array(top5)
    samples["mean_class_accuracy"] = _mean_class_accuracies(ranks == 0, labels, random)
    outside = (1 - LEVEL) / 2
    return {
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": seed,
        **{
            name: np.quantile(values, [outside, 1 - outside]).tolist()
            for name, values in samples.items()
        },
    }


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
