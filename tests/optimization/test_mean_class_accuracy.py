import numpy as np
import pytest

from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy

PREDICTED = np.eye(3)[[0, 0, 1, 1, 0]]
TRUE = np.array([0, 0, 0, 1, 1])


def test_counts_and_mean_over_the_classes_seen():
    metric = MeanClassAccuracy(3)
    for part in (slice(0, 2), slice(2, 5)):
        metric.update_state(TRUE[part], PREDICTED[part])
    np.testing.assert_array_equal(metric.counts, [[2, 1, 0], [1, 1, 0], [0, 0, 0]])
    assert float(metric.result()) == pytest.approx((2 / 3 + 1 / 2) / 2, rel=1e-6)


def test_weight_zero_is_ignored():
    metric = MeanClassAccuracy(3)
    metric.update_state(TRUE, PREDICTED, sample_weight=np.array([1, 1, 0, 1, 0]))
    assert float(metric.result()) == 1.0


def test_a_mixed_label_counts_as_its_larger_share():
    metric = MeanClassAccuracy(3)
    metric.update_state(np.array([[0.4, 0.6, 0.0]]), PREDICTED[2:3])
    np.testing.assert_array_equal(metric.counts, [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
