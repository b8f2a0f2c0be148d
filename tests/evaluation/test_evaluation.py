import csv
import json
import shutil

import numpy as np
import pytest

from keras_t3d.clips import crop_positions, take_view, view_starts
from keras_t3d.evaluation import VideoScores, compute_metrics, score_videos, write_report
from keras_t3d.evaluation.metrics import confusion
from keras_t3d.inference import load_predictor
from tests.data.test_pipeline import records


@pytest.fixture
def scores():
    probabilities = np.array(
        [
            [0.5, 0.3, 0.1, 0.05, 0.03, 0.02],
            [0.1, 0.2, 0.3, 0.25, 0.1, 0.05],
            [0.02, 0.03, 0.05, 0.1, 0.3, 0.5],
            [0.5, 0.3, 0.1, 0.05, 0.03, 0.02],
        ],
        np.float32,
    )
    labels = np.array([0, 3, 0, 1])
    return VideoScores(("a", "b", "c", "d"), labels, probabilities, tuple("uvwxyz"))


def test_metrics_by_hand(scores):
    metrics = compute_metrics(scores)
    assert (metrics["videos"], metrics["top1"], metrics["top5"]) == (4, 0.25, 0.75)
    assert metrics["per_class"]["u"] == {"videos": 2, "accuracy": 0.5}
    assert metrics["per_class"]["z"] == {"videos": 0, "accuracy": None}
    assert metrics["mean_class_accuracy"] == pytest.approx(0.5 / 3)


def test_equal_scores_go_to_the_first_class():
    scores = VideoScores(("a", "b"), np.array([0, 1]), np.full((2, 2), 0.5, np.float32), ("u", "v"))
    assert compute_metrics(scores)["top1"] == 0.5


def test_confusion_counts_true_by_predicted(scores):
    counts = confusion(scores)
    assert counts.sum() == 4
    assert counts[0].tolist() == [1, 0, 0, 0, 0, 1]
    assert counts[1, 0] == counts[3, 2] == 1


def test_report_files(scores, tmp_path):
    metrics = write_report(scores, tmp_path / "out", {"model": "m", "views": 3})
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert metrics["protocol"] == {"model": "m", "views": 3}
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert [row["predicted"] for row in rows] == ["u", "w", "z", "u"]
    assert (rows[0]["video"], rows[0]["label"], rows[0]["probability"]) == ("a", "u", "0.500000")
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_video_scores_the_mean_of_its_views(model, shards):
    predictor = load_predictor(model)
    scores = score_videos(predictor, shards, "test", num_views=2, num_crops=3, batch_size=5)
    for (_, frames, _), averaged in zip(records(shards, "test"), scores.probabilities, strict=True):
        views = np.stack(
            [
                take_view(frames, model.clip_spec, start, position)
                for start in view_starts(len(frames), model.clip_spec, 2)
                for position in crop_positions(3, *frames.shape[1:3])
            ]
        )
        each = predictor.probabilities(views)
        assert np.ptp(each[:, 0]) > 1e-4
        np.testing.assert_allclose(averaged, each.mean(axis=0), atol=1e-5)
    assert scores.video_ids == tuple(name.decode() for name, *_ in records(shards, "test"))
    assert scores.labels.tolist() == [label for *_, label in records(shards, "test")]


def test_a_model_that_gives_nan_is_no_perfect_model(model, shards):
    class Diverged:
        clip_spec, class_names = model.clip_spec, model.class_names

        def probabilities(self, clips):
            return np.full((len(clips), 2), np.nan, np.float32)

    with pytest.raises(ValueError, match="diverged"):
        score_videos(Diverged(), shards, "test")


def test_two_evaluations_give_the_same_bytes(model, shards, tmp_path):
    for name in ("a", "b"):
        scores = score_videos(load_predictor(model), shards, "test", num_views=2)
        write_report(scores, tmp_path / name, {})
    for name in ("metrics.json", "predictions.csv", "confusion.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_classes_that_are_not_the_models_are_refused(model, shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "copy")
    (copy / "labels.txt").write_text("bright\nother\n")
    with pytest.raises(ValueError, match=r"lacks \['other'\].*lack \['dark'\]"):
        score_videos(load_predictor(model), copy, "test")
    (copy / "labels.txt").write_text("dark\nbright\n")
    with pytest.raises(ValueError, match="another order"):
        score_videos(load_predictor(model), copy, "test")
