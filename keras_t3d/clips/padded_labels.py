"""Labels of batches that are filled up with clips that do not count."""

from __future__ import annotations

from typing import Any

LABELS = "labels"
WEIGHTS = "weights"


def padded_labels(labels: Any, is_real: Any) -> dict[str, Any]:
    """Returns the labels of a batch in which some clips only fill it up.

    Not as Keras's sample weights, which `metrics` leave out and which would lower the mean loss.
    Keras refuses such labels; `VideoClassifier` and `Learner` read them.

    Args:
        labels: labels of all clips.
        is_real: float32 `(batch,)`, 0 for clips that fill up, else 1.
    """
    return {LABELS: labels, WEIGHTS: is_real}


def is_padded(labels: Any) -> bool:
    """Returns whether labels are those of `padded_labels`."""
    return isinstance(labels, dict) and labels.keys() == {LABELS, WEIGHTS}
