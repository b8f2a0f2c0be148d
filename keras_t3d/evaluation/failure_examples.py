"""Selects the videos that a report shows: confused classes and high losses."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_t3d.evaluation.metrics import confusion_counts, most_confused
from keras_t3d.evaluation.scores import VideoScores

_NUM_PAIRS = 10
_NUM_VIDEOS = 12


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are confused, and a video of each.

    Attributes:
        true: id of the true class.
        predicted: id of the predicted class.
        num_videos: number of videos confused so.
        confused_video: index of the one with the highest probability of `predicted`.
        predicted_video: index of the video of the class `predicted` with the highest probability
            of it; None if the class has no video.
    """

    true: int
    predicted: int
    num_videos: int
    confused_video: int
    predicted_video: int | None


def confused_pairs(scores: VideoScores) -> list[ConfusedPair]:
    """Returns the ten most frequent confusions, with a video of each class."""
    best = scores.probabilities.argmax(axis=1)
    pairs = []
    for true, predicted, num_videos in most_confused(confusion_counts(scores))[:_NUM_PAIRS]:
        (confused,) = np.nonzero((scores.labels == true) & (best == predicted))
        (others,) = np.nonzero(scores.labels == predicted)
        probability = scores.probabilities[:, predicted]
        pairs.append(
            ConfusedPair(
                true,
                predicted,
                num_videos,
                confused_video=int(confused[probability[confused].argmax()]),
                predicted_video=int(others[probability[others].argmax()]) if len(others) else None,
            )
        )
    return pairs


def highest_loss_videos(scores: VideoScores) -> list[int]:
    """Returns the indices of the twelve videos with the highest loss, highest first.

    The loss is -log of the probability of the true class.
    """
    own = scores.probabilities[np.arange(len(scores.labels)), scores.labels]
    return np.argsort(own, kind="stable")[:_NUM_VIDEOS].tolist()
