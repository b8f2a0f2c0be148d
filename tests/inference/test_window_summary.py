"""The windows of a video one by one, and their mean."""

import numpy as np
import pytest

from keras_t3d.data import VideoReader
from keras_t3d.inference import MeanOfLast, WindowOptions, stream_video, summarize_windows
from tests.conftest import counting_frames, write_video
from tests.inference.conftest import write_uneven_video


@pytest.fixture
def video(tmp_path):
    """22 frames, 10 a second."""
    return write_video(tmp_path / "x.mp4", counting_frames(22), fps=10)


def summarize(recording, path, *, top=5, should_stop=lambda: False, **options):
    windows = []
    with VideoReader(path) as reader:
        summary = summarize_windows(
            recording,
            reader,
            windows.append,
            top=top,
            options=WindowOptions(**options),
            should_stop=should_stop,
        )
    return summary, windows


def test_the_windows_are_those_of_stream_video(recording, video):
    summary, windows = summarize(recording, video, hop=0.4, batch_size=2)
    expected = list(stream_video(recording, video, WindowOptions(hop=0.4)))
    assert [(w.first_frame, w.start, w.end) for w in windows] == [
        (w.first_frame, w.start, w.end) for w in expected
    ]
    assert (summary.num_windows, summary.gap_seconds, summary.stopped) == (
        len(expected),
        0.0,
        False,
    )
    assert summary.end == pytest.approx(2.1)


def test_the_mean_ignores_smoothing(recording, video):
    recording.probabilities = iter_probabilities([0.8, 0.2, 0.2, 0.2])
    summary, windows = summarize(recording, video, hop=0.6, smoothing=MeanOfLast(2), top=2)
    assert [round(float(w.probabilities[0]), 3) for w in windows] == [0.8, 0.5, 0.2, 0.2]
    assert summary.classes == (("odd", pytest.approx(0.65)), ("even", pytest.approx(0.35)))


def iter_probabilities(firsts):
    firsts = iter(firsts)

    def probabilities(clips):
        first = next(firsts)
        return np.array([[first, 1 - first, 0]], np.float32)

    return probabilities


def test_gaps_between_windows_are_counted(recording, video):
    summary, windows = summarize(recording, video, hop=1.0)
    # Windows of 0.7 s at 0, 1 and 1.4 s, the last with the video.
    assert [round(w.start, 2) for w in windows] == [0.0, 1.0, 1.4]
    assert summary.gap_seconds == pytest.approx(0.3)


def test_a_delay_before_the_first_frame_is_no_gap(recording, tmp_path):
    times = [2 + index / 10 for index in range(10)]
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(10), times, sound=True)
    summary, windows = summarize(recording, path)
    assert windows[0].start == pytest.approx(2.0, abs=2e-3)
    assert summary.gap_seconds == 0


@pytest.mark.parametrize(
    ("frames", "starts"), [(0, []), (6, []), (9, [0]), (12, [0, 4]), (99, [0, 4, 8, 12, 14])]
)
def test_stopping_keeps_the_windows_so_far(recording, video, frames, starts):
    asked = []

    def should_stop():
        asked.append(None)
        return len(asked) > frames

    summary, windows = summarize(recording, video, should_stop=should_stop)
    assert [w.first_frame for w in windows] == starts
    assert summary.num_windows == len(starts)
    assert summary.stopped == (frames < 22)
    assert summary.end == pytest.approx(windows[-1].end if windows else 0)
    assert (summary.classes == ()) == (not starts)
