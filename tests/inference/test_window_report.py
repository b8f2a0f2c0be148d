"""The windows of a video told one by one, and together at the end."""

import numpy as np
import pytest

from keras_t3d.data import VideoReader
from keras_t3d.inference import MeanOfLast, stream_video
from keras_t3d.inference.window_report import report_windows
from tests.conftest import counting_frames, write_video
from tests.inference.conftest import write_uneven_video


@pytest.fixture
def video(tmp_path):
    """22 frames, 10 a second."""
    return write_video(tmp_path / "x.mp4", counting_frames(22), fps=10)


def report(seeing, path, **options):
    told = []
    with VideoReader(path) as reader:
        return report_windows(seeing, reader, told.append, **options), told


def test_the_windows_are_those_of_stream_video(seeing, video):
    found, told = report(seeing, video, hop_seconds=0.4, batch_size=2)
    expected = list(stream_video(seeing, video, hop_seconds=0.4))
    assert [(w.first_frame, w.start, w.end) for w in told] == [
        (w.first_frame, w.start, w.end) for w in expected
    ]
    assert (found.windows, found.unscored, found.stopped) == (len(expected), 0.0, False)
    assert found.until == pytest.approx(2.1)


def test_the_mean_is_that_of_the_scores_not_of_what_is_smoothed(seeing, video):
    seeing.probabilities = iter_probabilities([0.8, 0.2, 0.2, 0.2])
    found, told = report(seeing, video, hop_seconds=0.6, smoothing=MeanOfLast(2), top=2)
    assert [round(float(w.probabilities[0]), 3) for w in told] == [0.8, 0.5, 0.2, 0.2]
    assert found.classes == (("odd", pytest.approx(0.65)), ("even", pytest.approx(0.35)))


def iter_probabilities(firsts):
    firsts = iter(firsts)

    def probabilities(clips):
        first = next(firsts)
        return np.array([[first, 1 - first, 0]], np.float32)

    return probabilities


def test_what_lies_between_windows_is_counted(seeing, video):
    found, told = report(seeing, video, hop_seconds=1.0)
    # Windows of 0.7 s at 0, 1 and 1.4 s, the last with the video.
    assert [round(w.start, 2) for w in told] == [0.0, 1.0, 1.4]
    assert found.unscored == pytest.approx(0.3)


def test_a_late_picture_is_no_gap(seeing, tmp_path):
    times = [2 + index / 10 for index in range(10)]
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(10), times, sound=True)
    found, told = report(seeing, path)
    assert told[0].start == pytest.approx(2.0, abs=2e-3)
    assert found.unscored == 0


@pytest.mark.parametrize(
    ("frames", "starts"), [(0, []), (6, []), (9, [0]), (12, [0, 4]), (99, [0, 4, 8, 12, 14])]
)
def test_a_stopped_video_gives_the_first_of_its_windows(seeing, video, frames, starts):
    asked = []

    def stopped():
        asked.append(None)
        return len(asked) > frames

    found, told = report(seeing, video, stopped=stopped)
    assert [w.first_frame for w in told] == starts
    assert found.windows == len(starts)
    assert found.stopped == (frames < 22)
    assert found.until == pytest.approx(told[-1].end if told else 0)
    assert (found.classes == ()) == (not starts)


def test_batches_of_none_are_refused(seeing, video):
    with pytest.raises(ValueError, match="batch_size"):
        report(seeing, video, batch_size=0)
