import numpy as np

from keras_t3d.evaluation import VideoScores
from keras_t3d.evaluation.failure_examples import (
    ConfusedPair,
    confused_pairs,
    highest_loss_videos,
)
from tests.evaluation.written import by_hand


def test_videos_are_in_order_of_loss():
    # The true classes' probabilities: 0.5, 0.25, 0.02, 0.3.
    assert highest_loss_videos(by_hand()) == [2, 1, 3, 0]


def test_a_pair_shows_the_most_confident_video_of_each_class():
    probabilities = np.array(
        [[0.4, 0.6], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], np.float32
    )
    scores = VideoScores(tuple("abcde"), np.array([0, 0, 0, 1, 1]), probabilities, ("u", "v"))
    assert confused_pairs(scores) == [ConfusedPair(0, 1, 2, confused_video=1, predicted_video=4)]


def test_a_class_without_videos_has_no_example():
    pairs = confused_pairs(by_hand())
    assert [(pair.confused_video, pair.predicted_video) for pair in pairs] == [
        (2, None),
        (3, 0),
        (1, None),
    ]


def test_no_more_than_ten_pairs_and_twelve_videos():
    classes = 30
    labels = np.arange(classes)
    probabilities = np.roll(np.eye(classes, dtype=np.float32), 1, axis=1)
    names = tuple(f"c{index}" for index in range(classes))
    scores = VideoScores(names, labels, probabilities, names)
    assert len(confused_pairs(scores)) == 10
    assert highest_loss_videos(scores) == list(range(12))
