import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import recall_score

from keras_t3d.evaluation.accuracy import label_ranks, mean_class_accuracy


def test_ranks_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.4, 0.5]])
    assert label_ranks(probabilities, np.array([0, 0, 0])).tolist() == [0, 1, 2]


def test_equal_probabilities_go_to_the_first_class():
    assert label_ranks(np.full((3, 3), 0.2), np.array([0, 1, 2])).tolist() == [0, 1, 2]


@given(
    arrays.arrays(np.float32, (5, 4), elements=st.sampled_from([0.0, 0.25, 0.5])),
    arrays.arrays(np.int64, 5, elements=st.integers(0, 3)),
)
def test_the_rank_is_the_place_in_the_sorted_classes(probabilities, labels):
    order = np.argsort(-probabilities, axis=1, kind="stable")
    expected = [row.tolist().index(label) for row, label in zip(order, labels, strict=True)]
    assert label_ranks(probabilities, labels).tolist() == expected


def test_mean_class_accuracy_leaves_out_classes_without_predictions():
    labels = np.array([0, 0, 0, 0, 3])
    assert mean_class_accuracy(labels, np.array([1, 0, 0, 0, 1], bool)) == pytest.approx(0.625)


def test_videos_of_several_predictions_count_by_them():
    labels, correct, views = np.array([0, 0, 1]), np.array([3, 0, 1]), np.array([4, 2, 4])
    assert mean_class_accuracy(labels, correct, views) == pytest.approx((3 / 6 + 1 / 4) / 2)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1))
def test_mean_class_accuracy_is_the_mean_of_recalls(pairs):
    labels, correct = (np.array(values) for values in zip(*pairs, strict=True))
    predicted = np.where(correct, labels, 9)
    expected = recall_score(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    assert mean_class_accuracy(labels, correct) == pytest.approx(expected)
