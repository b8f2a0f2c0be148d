"""How far figures would move had other videos been drawn: bootstrap intervals."""

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

    As many videos as there are are drawn with replacement, 1000 times, and the figures
    computed of each draw; an interval reaches from the 2.5 % to the 97.5 % quantile of
    its figure. The intervals say how much the figures owe to which videos happen to be in
    the split, and nothing of what training again would change.

    Args:
        ranks: int64 array (videos,), see `label_ranks`.
        labels: int64 array (videos,). True class ids.
        num_classes: int.
        seed: int. Defaults to `0`.

    Returns:
        Dict of `level`, `resamples`, `seed`, and [low, high] of `top1`, `top5` (left out
        below 6 classes) and `mean_class_accuracy` (over the classes that the draw has).

    Example:

    ```python
    bootstrap_intervals(ranks, labels, num_classes=101)["top1"]  # [0.881, 0.902]
    ```

    Reference:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
    """
    random = np.random.default_rng(seed)
    videos = len(labels)
    figures: dict[str, list[float]] = {"top1": [], "top5": [], "mean_class_accuracy": []}
    for _ in range(RESAMPLES):
        drawn = random.integers(0, videos, videos)
        correct = ranks[drawn] == 0
        figures["top1"].append(correct.mean())
        figures["top5"].append((ranks[drawn] < 5).mean())
        figures["mean_class_accuracy"].append(mean_class_accuracy(labels[drawn], correct))
    if num_classes <= 5:
        del figures["top5"]
    outside = (1 - LEVEL) / 2
    return {
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": seed,
        **{
            name: np.quantile(values, [outside, 1 - outside]).tolist()
            for name, values in figures.items()
        },
    }
