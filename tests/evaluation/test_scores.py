import shutil

import numpy as np
import pytest

from keras_t3d.clips import crop_positions, take_view, view_starts
from keras_t3d.evaluation import EvaluationOptions, VideoScores, score_videos
from keras_t3d.inference import load_predictor
from tests.data.clips.test_tensorflow_form import records
from tests.evaluation.written import NAMES, FirstFrame, write_shards

pytestmark = pytest.mark.pipeline


def test_a_video_scores_the_mean_of_its_views(model, shards):
    predictor = load_predictor(model)
    scores = score_videos(
        predictor, shards, "test", EvaluationOptions(views=2, crops=3, batch_size=5)
    )
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
    assert scores.view_counts.views.tolist() == [6] * 8
    assert scores.middle_records.tolist() == list(range(8))


class TestCoveringClips:
    """Clips of 2 frames: a video of 5 gives the starts 0, 2 and 3."""

    @pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
    def test_videos_of_any_length(self, tmp_path, batch_size):
        shards = write_shards(tmp_path, [[("a", 0, 5), ("b", 1, 2)], [("c", 1, 9), ("d", 0, 1)]])
        predictor = FirstFrame()
        scores = score_videos(
            predictor, shards, "test", EvaluationOptions("t3d", batch_size=batch_size)
        )
        assert scores.view_counts.views.tolist() == [3, 1, 5, 1]
        starts = [[0, 2, 3], [0], [0, 2, 4, 6, 7], [0]]
        expected = [np.mean(each) / 100 for each in starts]
        np.testing.assert_allclose(scores.probabilities[:, 0], expected, atol=1e-6)
        assert scores.labels.tolist() == [0, 1, 1, 0]
        assert max(predictor.batches) <= batch_size
        # v is the most probable class of every view.
        assert scores.view_counts.top1.tolist() == [0, 1, 5, 0]
        assert scores.view_counts.top5.tolist() == [3, 1, 5, 1]

    def test_stc_is_the_same(self, tmp_path):
        shards = write_shards(tmp_path, [[("a", 0, 5), ("b", 1, 4)]])
        one, other = (
            score_videos(FirstFrame(), shards, "test", EvaluationOptions(name))
            for name in ("t3d", "stc")
        )
        assert np.array_equal(one.probabilities, other.probabilities)


class TestRecordsOfOneVideo:
    def test_are_one_video_in_any_shards(self, tmp_path):
        shards = write_shards(
            tmp_path,
            [[("long#1", 1, 4), ("b", 0, 2)], [("long#0", 1, 9)], [("long#2", 1, 2), ("c", 0, 2)]],
        )
        scores = score_videos(FirstFrame(), shards, "test", EvaluationOptions("t3d", batch_size=3))
        assert scores.video_ids == ("long", "b", "c")
        assert scores.labels.tolist() == [1, 0, 0]
        assert scores.view_counts.views.tolist() == [8, 1, 1]
        # The mean over all views, not over the means of records.
        starts = [0, 2, 4, 6, 7, 0, 2, 0]
        assert scores.probabilities[0, 0] == pytest.approx(np.mean(starts) / 100, abs=1e-6)
        assert scores.middle_records.tolist() == [0, 1, 4]  # long#1 is the middle record

    def test_of_a_converted_video(self, tmp_path):
        from keras_t3d.data import ConversionOptions, convert
        from tests.conftest import counting_frames, write_video

        for name in ("a/long", "b/short"):
            frames = counting_frames(50 if name == "a/long" else 10, 32, 48)
            write_video(tmp_path / "videos" / "test" / f"{name}.mp4", frames, fps=20)
        convert(
            tmp_path / "videos",
            tmp_path / "s",
            ConversionOptions(short_side=16, max_seconds=1, workers=1),
        )
        predictor = FirstFrame()
        predictor.class_names = ("a", "b")
        scores = score_videos(predictor, tmp_path / "s", "test", EvaluationOptions("t3d"))
        assert set(scores.video_ids) == {"test/a/long.mp4", "test/b/short.mp4"}
        long = scores.video_ids.index("test/a/long.mp4")
        assert len(list(records(tmp_path / "s", "test"))) == 4  # records of 20, 15, 15 frames
        assert scores.view_counts.views[long] == 10 + 8 + 8

    def test_with_two_labels_are_rejected(self, tmp_path):
        shards = write_shards(tmp_path, [[("a", 0, 2), ("a", 1, 2)]])
        with pytest.raises(ValueError, match=r"\['u', 'v'\] for 'a'"):
            score_videos(FirstFrame(), shards, "test")


def test_records_without_ids_are_separate_videos(tmp_path):
    shards = write_shards(tmp_path, [[("", 0, 5), ("", 1, 3)], [("", 0, 2)]])
    scores = score_videos(FirstFrame(), shards, "test", EvaluationOptions("t3d"))
    assert scores.video_ids == ("record 0", "record 1", "record 2")
    assert scores.view_counts.views.tolist() == [3, 2, 1]


def test_records_without_a_label_are_rejected(tmp_path):
    shards = write_shards(tmp_path, [[("a", 0, 2), ("b", -1, 2)]])
    with pytest.raises(ValueError, match="label"):
        score_videos(FirstFrame(), shards, "test")


def test_a_damaged_shard_is_named(tmp_path):
    shards = write_shards(tmp_path, [[("a", 0, 2)], [("b", 1, 2)]])
    victim = tmp_path / "test-1.tfrecord"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(ValueError, match=r"test-1\.tfrecord"):
        score_videos(FirstFrame(), shards, "test")


def test_progress_ends_with_all_records(tmp_path):
    shards = write_shards(tmp_path, [[("a#0", 0, 5), ("a#1", 0, 3), ("b", 1, 2)]])
    seen = []
    score_videos(
        FirstFrame(),
        shards,
        "test",
        EvaluationOptions("t3d", batch_size=2),
        progress=lambda *done: seen.append(done),
    )
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_nan_is_rejected(tmp_path):
    class Diverged(FirstFrame):
        def probabilities(self, clips):
            probabilities = super().probabilities(clips)
            probabilities[-1] = np.nan
            return probabilities

    shards = write_shards(tmp_path, [[("a", 0, 2), ("b", 1, 2)]])
    with pytest.raises(ValueError, match=r"NaN.*'b'"):
        score_videos(Diverged(), shards, "test")


def test_other_classes_than_the_models_are_rejected(model, shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "copy")
    (copy / "labels.txt").write_text("bright\nother\n")
    with pytest.raises(ValueError, match=r"lacks \['other'\].*lack \['dark'\]"):
        score_videos(load_predictor(model), copy, "test")
    (copy / "labels.txt").write_text("dark\nbright\n")
    with pytest.raises(ValueError, match="Received: 2 and 2"):
        score_videos(load_predictor(model), copy, "test")


@pytest.mark.parametrize(
    ("ids", "labels", "probabilities", "message"),
    [
        ((), [], np.zeros((0, 2)), "Received: 0 videos"),
        (("a",), [0, 1], [[0.5, 0.5]], "Received: 1 videos, 2 classes"),
        (("a",), [0], [[1.0]], "Received: 1 videos, 2 classes"),
        (("a", "b"), [0, -1], [[0.5, 0.5]] * 2, "Received: -1 for 'b'"),
        (("a", "b"), [2, 0], [[0.5, 0.5]] * 2, "Received: 2 for 'a'"),
        (("a",), [0], [[np.nan, 0.5]], "NaN"),
    ],
)
def test_inconsistent_scores_are_rejected(ids, labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        VideoScores(ids, np.array(labels, np.int64), np.array(probabilities, np.float32), NAMES)


def test_view_counts_are_optional():
    scores = VideoScores(("a",), np.array([0]), np.array([[0.5, 0.5]], np.float32), NAMES)
    assert scores.view_counts is None
