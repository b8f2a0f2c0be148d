import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.evaluation.accuracy import mean_class_accuracy
from keras_t3d.evaluation.confidence_intervals import confidence_intervals, wilson_interval


def test_half_right_of_a_hundred():
    # The number of right videos of 100 is binomial (100, 1/2): 95 % of it is 40 to 60.
    ranks = np.array([0, 7] * 50)
    figures = confidence_intervals(ranks, np.zeros(100, np.int64), num_classes=9)
    assert figures["top1"] == pytest.approx([0.40, 0.60], abs=0.011)
    assert figures["mean_class_accuracy"] == pytest.approx([0.40, 0.60], abs=0.011)
    assert figures["top5"] == figures["top1"]
    assert (figures["level"], figures["resamples"], figures["seed"]) == (0.95, 1000, 0)


def test_the_mean_over_classes_weighs_rare_ones():
    ranks = np.array([0] * 90 + [1] * 10)
    labels = np.array([0] * 90 + [1] * 10)
    figures = confidence_intervals(ranks, labels, num_classes=2)
    assert figures["mean_class_accuracy"] == [0.5, 0.5]
    assert 0.8 < figures["top1"][0] < 0.9 < figures["top1"][1] < 1
    assert "top5" not in figures


def test_classes_of_one_video_are_in_every_sample():
    # A class of 200 right videos and one of a single wrong video: always (1 + 0) / 2. Drawn over
    # all videos, the wrong one would be absent from 37 % of the samples, whose mean is 1.
    ranks, labels = np.array([0] * 200 + [1]), np.array([0] * 200 + [1])
    assert confidence_intervals(ranks, labels, 2)["mean_class_accuracy"] == [0.5, 0.5]


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=3), min_size=1, max_size=40),
    st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_the_interval_holds_the_mean_class_accuracy_of_small_sets(classes, seed):
    labels = np.array([label for label, videos in enumerate(classes) for _ in videos])
    ranks = np.array([int(not right) for videos in classes for right in videos])
    low, high = confidence_intervals(ranks, labels, 40, seed)["mean_class_accuracy"]
    assert low - 1e-9 <= mean_class_accuracy(labels, ranks == 0) <= high + 1e-9


def test_the_middle_of_the_samples_is_the_mean_class_accuracy():
    # 50 classes of two videos, one right: each class is 1/2 on average. The standard deviation of
    # the mean is sqrt(1/8 / 50) = 0.05, so 95 % are within 0.098.
    ranks, labels = np.array([0, 1] * 50), np.repeat(np.arange(50), 2)
    interval = confidence_intervals(ranks, labels, 50)["mean_class_accuracy"]
    assert interval == pytest.approx([0.402, 0.598], abs=0.011)


def test_seed_zero_differs_from_one_and_repeats():
    ranks, labels = np.array([0, 1, 0, 2, 0, 0, 9]), np.array([0, 1, 2, 3, 4, 5, 6])
    zero, again, one = (confidence_intervals(ranks, labels, 7, seed=seed) for seed in (0, 0, 1))
    assert zero == again
    assert zero != one


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12))
@settings(deadline=None, max_examples=15)
def test_invariants(pairs):
    ranks, labels = np.array(pairs).T
    figures = confidence_intervals(ranks, labels, num_classes=9)
    for name in ("top1", "top5", "mean_class_accuracy"):
        low, high = figures[name]
        assert 0 <= low <= high <= 1
    for low, high in zip(figures["top1"], figures["top5"], strict=True):
        assert low <= high


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),  # of R's prop.test(..., correct = FALSE)
    [(12, 12, 0.7575, 1.0), (0, 12, 0.0, 0.2425), (50, 100, 0.4038, 0.5962), (1, 1, 0.2065, 1.0)],
)
def test_intervals_of_wilson(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx([low, high], abs=5e-5)
