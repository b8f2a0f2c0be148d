"""Calibration: whether predicted probabilities match accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15


def compute_calibration(confidences: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """Computes the expected calibration error, and the bins of a reliability diagram.

    Predictions are grouped by confidence, the probability of the predicted class, into 15 bins
    of equal width: bin b holds confidences above (b - 1)/15 and up to b/15. Over the bins that
    are not empty,

    ```
    ECE = sum of  n_b / n * |accuracy_b - mean confidence_b|
    ```

    Args:
        confidences: float array (predictions,), 0..1.
        correct: bool array (predictions,). Whether the prediction is correct.

    Returns:
        Dict of `ece`, 0..1, and `bins`, a list of dicts of `above`, `up_to`, `videos`,
        `confidence` and `accuracy` (means; None if the bin is empty).

    Example:

    ```python
    compute_calibration(np.array([0.9, 0.9]), np.array([True, False]))["ece"]  # 0.4
    ```

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
        https://arxiv.org/abs/1706.04599
    """
    confidences = np.clip(
        np.asarray(confidences, np.float64), 0, 1
    )  # a mean can exceed 1 by rounding
    edges = np.linspace(0, 1, BINS + 1)
    in_bin = np.digitize(confidences, edges[1:-1], right=True)
    ece = 0.0
    bins: list[dict[str, Any]] = []
    for index in range(BINS):
        inside = in_bin == index
        count = int(inside.sum())
        confidence = float(confidences[inside].mean()) if count else None
        accuracy = float(correct[inside].mean()) if count else None
        if confidence is not None and accuracy is not None:
            ece += count / len(confidences) * abs(accuracy - confidence)
        bins.append(
            {
                "above": float(edges[index]),
                "up_to": float(edges[index + 1]),
                "videos": count,
                "confidence": confidence,
                "accuracy": accuracy,
            }
        )
    return {"ece": ece, "bins": bins}
