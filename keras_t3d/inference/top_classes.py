"""The most probable classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def check_top(top: int) -> None:
    """Refuses a number of classes that names none."""
    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: {top}")


def top_classes(
    probabilities: np.ndarray, class_names: Sequence[str], top: int
) -> list[tuple[str, float]]:
    """Names the most probable classes, most probable first.

    Args:
        probabilities: float array of shape (classes,).
        class_names: str, one a class.
        top: int. How many to name.

    Returns:
        (class name, probability) pairs.
    """
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(class_names[index], float(probabilities[index])) for index in best]
