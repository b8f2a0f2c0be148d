import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from keras_t3d.evaluation import VideoScores, compute_metrics
from keras_t3d.evaluation.metrics import confusion_counts, most_confused
from keras_t3d.evaluation.scores import ViewCounts
from tests.evaluation.written import by_hand


def test_accuracies_by_hand():
    metrics = compute_metrics(by_hand())
    assert (metrics["videos"], metrics["top1"], metrics["top5"]) == (4, 0.25, 0.75)
    assert metrics["mean_class_accuracy"] == pytest.approx(0.5 / 3)
    # u: precision 1/2, recall 1/2, so F1 1/2; v and x: 0. The others have no videos.
    assert metrics["macro_f1"] == pytest.approx(0.5 / 3)


def test_what_is_reached_without_a_model():
    metrics = compute_metrics(by_hand())
    assert metrics["chance"] == 1 / 6  # of the classes of the model, with and without videos
    assert metrics["majority"] == 0.5  # u: two of four videos


def test_classes_by_hand():
    per_class = compute_metrics(by_hand())["per_class"]
    assert list(per_class) == list("uvwxyz")
    assert per_class["u"] == {
        "videos": 2,
        "accuracy": 0.5,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "confused_with": "z",
        "confused_videos": 1,
    }
    assert per_class["x"]["precision"] is None  # never predicted
    assert per_class["x"]["f1"] == 0.0
    assert per_class["z"] == {
        "videos": 0,
        "accuracy": None,
        "precision": 0.0,
        "recall": None,
        "f1": None,
        "confused_with": None,
        "confused_videos": 0,
    }


def test_confusion_counts_true_by_predicted():
    counts = confusion_counts(by_hand())
    assert counts.sum() == 4
    assert counts[0].tolist() == [1, 0, 0, 0, 0, 1]
    assert counts[1, 0] == counts[3, 2] == 1


def test_most_confused_first_then_by_class():
    counts = np.array([[9, 1, 2], [2, 9, 0], [0, 3, 9]])
    assert most_confused(counts) == [(2, 1, 3), (0, 2, 2), (1, 0, 2), (0, 1, 1)]
    assert compute_metrics(by_hand())["most_confused"] == [
        {"true": "u", "predicted": "z", "videos": 1},
        {"true": "v", "predicted": "u", "videos": 1},
        {"true": "x", "predicted": "w", "videos": 1},
    ]


def test_single_clips():
    scores = by_hand()
    counts = ViewCounts(
        views=np.array([4, 2, 1, 3]), top1=np.array([3, 0, 1, 0]), top5=np.array([4, 1, 1, 3])
    )
    given = VideoScores(
        scores.video_ids, scores.labels, scores.probabilities, scores.class_names, counts
    )
    level = compute_metrics(given)["clip_level"]
    assert level["clips"] == 10
    assert (level["top1"], level["top5"]) == (0.4, 0.9)
    assert level["mean_class_accuracy"] == pytest.approx((4 / 5 + 0 / 3 + 0 / 2) / 3)
    assert compute_metrics(scores)["clip_level"] is None


def test_equal_scores_go_to_the_first_class():
    scores = VideoScores(("a", "b"), np.array([0, 1]), np.full((2, 2), 0.5, np.float32), ("u", "v"))
    assert compute_metrics(scores)["top1"] == 0.5


def test_top5_needs_six_classes():
    scores = VideoScores(("a",), np.array([0]), np.full((1, 5), 0.2, np.float32), tuple("uvwxy"))
    metrics = compute_metrics(scores)
    assert "top5" not in metrics
    assert "top5" not in metrics["intervals"]


@pytest.mark.filterwarnings("error")
def test_one_video_of_one_class():
    scores = VideoScores(("a",), np.array([0]), np.ones((1, 1), np.float32), ("u",))
    metrics = compute_metrics(scores)
    assert metrics["top1"] == metrics["macro_f1"] == metrics["mean_class_accuracy"] == 1.0
    assert metrics["calibration"]["ece"] == 0.0
    assert metrics["intervals"]["top1"] == pytest.approx([0.2065, 1.0], abs=5e-5)
    assert metrics["most_confused"] == []


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_invariants(videos, classes, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, videos)
    probabilities = random.dirichlet(np.full(classes, 0.5), videos).astype(np.float32)
    names = tuple(f"c{index}" for index in range(classes))
    ids = tuple(f"v{index}" for index in range(videos))
    metrics = compute_metrics(VideoScores(ids, labels, probabilities, names))
    json.dumps(metrics, allow_nan=False)
    predicted = probabilities.argmax(axis=1)
    assert metrics["top1"] == pytest.approx((predicted == labels).mean())
    assert metrics["macro_f1"] == pytest.approx(
        f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    )
    per_class = metrics["per_class"].values()
    known = [entry["accuracy"] for entry in per_class if entry["accuracy"] is not None]
    assert metrics["mean_class_accuracy"] == pytest.approx(np.mean(known))
    f1s = [entry["f1"] for entry in per_class if entry["f1"] is not None]
    assert metrics["macro_f1"] == pytest.approx(np.mean(f1s))
    assert sum(entry["videos"] for entry in per_class) == videos
    if "top5" in metrics:
        assert metrics["top1"] <= metrics["top5"] <= 1
    # The order of the videos changes nothing but the bootstrap samples.
    order = random.permutation(videos)
    other = compute_metrics(
        VideoScores(tuple(ids[i] for i in order), labels[order], probabilities[order], names)
    )
    assert other["top1"] == metrics["top1"]
    assert other["calibration"]["ece"] == pytest.approx(metrics["calibration"]["ece"])
    assert other["per_class"] == metrics["per_class"]
