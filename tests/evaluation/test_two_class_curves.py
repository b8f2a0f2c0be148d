import numpy as np
import pytest

from keras_t3d.evaluation import VideoScores, compute_metrics
from keras_t3d.evaluation.two_class_curves import two_class_curves


def scores(labels, of_second, names=("no", "yes")):
    of_second = np.array(of_second, np.float32)
    ids = tuple(f"v{number}" for number in range(len(labels)))
    return VideoScores(ids, np.array(labels), np.stack([1 - of_second, of_second], 1), names)


def test_areas_by_hand():
    curves = two_class_curves(scores([0, 0, 1, 0, 1], [0.1, 0.4, 0.35, 0.2, 0.8]))
    assert curves.positive == "yes"
    # Of 6 pairs of a video of each class, one is in the wrong order.
    assert curves.roc_auc == pytest.approx(5 / 6)
    assert curves.average_precision == pytest.approx(1 / 2 + 2 / 3 / 2)
    assert curves.share == pytest.approx(0.4)
    assert (
        curves.metrics()
        == compute_metrics(scores([0, 0, 1, 0, 1], [0.1, 0.4, 0.35, 0.2, 0.8]))["two_classes"]
    )


def test_the_rarer_class_is_positive():
    assert two_class_curves(scores([0, 1, 1], [0.1, 0.9, 0.8])).positive == "no"


def test_none_without_two_classes_that_have_videos():
    assert two_class_curves(scores([1, 1], [0.1, 0.9])) is None
    assert "two_classes" not in compute_metrics(scores([1, 1], [0.1, 0.9]))
