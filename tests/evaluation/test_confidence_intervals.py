import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.evaluation.confidence_intervals import bootstrap_intervals


def test_half_right_of_a_hundred():
    # The number of right videos in a resample is binomial (100, 1/2): 95 % of it is 40 to 60.
    ranks = np.array([0, 7] * 50)
    figures = bootstrap_intervals(ranks, np.zeros(100, np.int64), num_classes=9)
    assert figures["top1"] == pytest.approx([0.40, 0.60], abs=0.011)
    assert figures["top5"] == figures["mean_class_accuracy"] == figures["top1"]
    assert (figures["level"], figures["resamples"], figures["seed"]) == (0.95, 1000, 0)


def test_the_mean_over_classes_weighs_rare_ones():
    ranks = np.array([0] * 90 + [1] * 10)
    labels = np.array([0] * 90 + [1] * 10)
    figures = bootstrap_intervals(ranks, labels, num_classes=2)
    assert figures["mean_class_accuracy"] == [0.5, 0.5]
    assert 0.8 < figures["top1"][0] < 0.9 < figures["top1"][1] < 1
    assert "top5" not in figures


def test_seed_zero_differs_from_one_and_repeats():
    ranks, labels = np.array([0, 1, 0, 2, 0, 0, 9]), np.array([0, 1, 2, 3, 4, 5, 6])
    zero, again, one = (bootstrap_intervals(ranks, labels, 7, seed=seed) for seed in (0, 0, 1))
    assert zero == again
    assert zero != one


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12))
@settings(deadline=None, max_examples=15)
def test_invariants(pairs):
    ranks, labels = np.array(pairs).T
    figures = bootstrap_intervals(ranks, labels, num_classes=9)
    for name in ("top1", "top5", "mean_class_accuracy"):
        low, high = figures[name]
        assert 0 <= low <= high <= 1
    for low, high in zip(figures["top1"], figures["top5"], strict=True):
        assert low <= high
    if len({rank == 0 for rank in ranks}) == 1:
        assert figures["top1"] == [float(ranks[0] == 0)] * 2
