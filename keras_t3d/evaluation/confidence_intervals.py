"""Bootstrap confidence intervals of metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_t3d.evaluation.accuracy import mean_class_accuracy

LEVEL = 0.95
RESAMPLES = 1000
SEED = 0


def bootstrap_intervals(
    ranks: np.ndarray, labels: np.ndarray, num_classes: int, seed: int = SEED
) -> dict[str, Any]:
    """Computes 95 % confidence intervals by the percentile bootstrap over videos.

    1000 samples of as many videos are drawn with replacement, and the metrics computed for each;
    an interval reaches from the 2.5 % to the 97.5 % quantile of a metric. The intervals show the
    uncertainty due to the choice of videos in the split, not that due to training.

    Args:
        ranks: int64 array (videos,), see `label_ranks`.
        labels: int64 array (videos,). True class ids.
        num_classes: number of classes.
        seed: seed of the samples.

    Returns:
        Dict of `level`, `resamples`, `seed`, and [low, high] of `top1`, `top5` (omitted below 6
        classes) and `mean_class_accuracy` (over the classes in the sample).

    Example:

    ```python
    ranks, labels = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])
    bootstrap_intervals(ranks, labels, num_classes=2)["top1"]  # [low, high]
    ```

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
    """
    random = np.random.default_rng(seed)
    num_videos = len(labels)
    samples: dict[str, list[float]] = {"top1": [], "top5": [], "mean_class_accuracy": []}
    for _ in range(RESAMPLES):
        drawn = random.integers(0, num_videos, num_videos)
        correct = ranks[drawn] == 0
        samples["top1"].append(correct.mean())
        samples["top5"].append((ranks[drawn] < 5).mean())
        samples["mean_class_accuracy"].append(mean_class_accuracy(labels[drawn], correct))
    if num_classes <= 5:
        del samples["top5"]
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
