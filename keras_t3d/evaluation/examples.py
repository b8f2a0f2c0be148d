"""Which videos a report shows."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_t3d.evaluation.metrics import confusion, most_confused
from keras_t3d.evaluation.scores import VideoScores

_PAIRS = 10
_WORST = 12


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """Two classes, and a video of each.

    Attributes:
        true: int. The class that is taken for another.
        predicted: int. The class it is taken for.
        videos: int. How many videos are.
        of_true: int. Number of the video that is, with the highest probability of `predicted`.
        of_predicted: int or None. Number of the video of class `predicted` with the highest
            probability of it; None where it has no video.
    """

    true: int
    predicted: int
    videos: int
    of_true: int
    of_predicted: int | None


def confused_pairs(scores: VideoScores) -> list[ConfusedPair]:
    """Returns the ten pairs that most videos confuse, with a video of each class."""
    best = scores.probabilities.argmax(axis=1)
    pairs = []
    for true, predicted, videos in most_confused(confusion(scores))[:_PAIRS]:
        (confused,) = np.nonzero((scores.labels == true) & (best == predicted))
        (theirs,) = np.nonzero(scores.labels == predicted)
        surest = scores.probabilities[:, predicted]
        pairs.append(
            ConfusedPair(
                true,
                predicted,
                videos,
                of_true=int(confused[surest[confused].argmax()]),
                of_predicted=int(theirs[surest[theirs].argmax()]) if len(theirs) else None,
            )
        )
    return pairs


def worst_videos(scores: VideoScores) -> list[int]:
    """Returns the numbers of the twelve videos of the highest loss, the worst first.

    The loss is -log of the true class's probability: the lowest probability is the highest
    loss.
    """
    own = scores.probabilities[np.arange(len(scores.labels)), scores.labels]
    return np.argsort(own, kind="stable")[:_WORST].tolist()
