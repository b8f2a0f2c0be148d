"""When frames are shown: presentation timestamps of unusual files."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from keras_t3d.data.video.frames import presentation_times, shown_times
from keras_t3d.data.video.header import VideoHeader
from keras_t3d.data.video.reader import VideoReader
from tests.conftest import SHARED_DATA, counting_frames, frame_numbers, write_video
from tests.inference.conftest import write_uneven_video

ODD = SHARED_DATA / "odd"


def times_of(path):
    with VideoReader(path) as reader:
        return [(frame.start, frame.end) for frame in reader.timed()]


def test_a_frame_is_shown_until_the_next(tmp_path):
    times = [0.0, 0.04, 0.5, 0.541, 3.0]
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(5), times)
    expected = list(zip(times, [*times[1:], 3.5], strict=True))
    np.testing.assert_allclose(times_of(path), expected, atol=1e-3)


def test_even_frames(tmp_path):
    path = write_video(tmp_path / "x.mp4", counting_frames(4), fps=10)
    with VideoReader(path) as reader:
        frames = list(reader.timed())
        assert (reader.num_decoded, reader.header.num_frames, reader.header.has_sound) == (
            4,
            4,
            False,
        )
    np.testing.assert_allclose(
        [(f.start, f.end) for f in frames], [(0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4)]
    )
    assert frame_numbers(np.stack([frame.pixels for frame in frames])) == [0, 1, 2, 3]
    assert frames[0].pixels is frames[0].pixels  # converted once


def test_sound_is_known_of(tmp_path):
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(2), [0, 0.04], sound=True)
    with VideoReader(path) as reader:
        assert reader.header.has_sound


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_times_count_from_the_sound_where_it_begins_before_the_picture(tmp_path, suffix):
    times = [2.0, 2.04, 2.5]
    path = write_uneven_video(tmp_path / f"x{suffix}", counting_frames(3), times, sound=True)
    found = np.array(times_of(path))
    np.testing.assert_allclose(found[:, 0], times, atol=2e-3)
    assert found[-1, 1] == pytest.approx(3.0, abs=2e-3)


def test_spans_which_conversions_cut_count_from_the_first_picture(tmp_path):
    times = [2.0, 2.04, 2.5]
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(3), times, sound=True)
    with VideoReader(path, start=0.0, end=0.5) as reader:
        assert reader.count() == 2


@pytest.mark.parametrize(("sound", "start"), [(-7000, 0.0), (None, 0.0), (1_250_000, 0.15)])
def test_start_time_is_where_players_show_zero(sound, start):
    """Sound that starts below 0 only initializes its decoder; broadcasts start anywhere."""
    stream = SimpleNamespace(
        start_time=1400 if sound and sound > 0 else 0,
        time_base=Fraction(1, 1000),
        average_rate=25,
        guessed_rate=25,
        frames=0,
    )
    header = VideoHeader(SimpleNamespace(start_time=sound), stream)
    assert header.first_frame_time - header.start_time == pytest.approx(start)


def fake(*times, base=Fraction(1, 1000), duration=None):
    return [SimpleNamespace(time=time, duration=duration, time_base=base) for time in times]


@pytest.mark.parametrize(
    ("times", "origin", "starts", "end"),
    [
        ([7.0, 7.1, 7.3], 7.0, [0, 0.1, 0.3], 0.4),
        ([None, None, None], 0.0, [0, 0.1, 0.2], 0.3),  # a file without times
        ([0.0, None, 0.2], 0.0, [0, 0.1, 0.2], 0.3),
        ([0.0, 0.2, 0.1, 0.3], 0.0, [0, 0.2, 0.2, 0.3], 0.4),  # a little back: never backwards
        ([0.0, 5.0, 0.0, 0.2], 0.0, [0, 5, 5.1, 5.3], 5.4),  # joined recordings
        ([6.9, 7.0], 7.0, [0, 0.1], 0.2),  # begins before its beginning
        ([2.0], 0.0, [2], 2.1),
        ([], 0.0, [], None),
    ],
)
def test_odd_times(times, origin, starts, end):
    shown = list(shown_times(presentation_times(fake(*times), origin, 0.1), 0.1))
    np.testing.assert_allclose([s for s, _, _ in shown], starts, atol=1e-9)
    if shown:
        np.testing.assert_allclose([e for _, e, _ in shown], [*starts[1:], end], atol=1e-9)


def test_the_last_frame_is_shown_as_long_as_the_file_says():
    ((start, end, _),) = shown_times([(0.0, *fake(1.0, duration=700))], 0.1)
    assert (start, end) == (0.0, pytest.approx(0.7))
    ((_, end, _),) = shown_times([(0.0, *fake(None, base=None))], 0.04)
    assert end == pytest.approx(0.04)  # where nothing is stated


@pytest.mark.skipif(not ODD.is_dir(), reason=f"needs the shared videos in {ODD}")
def test_odd_files_have_times():
    for name in ("made/vfr.mp4", "made/truncated_half.avi", "decord/test_data_unordered.mov"):
        times = np.array(times_of(ODD / name))
        assert times[0, 0] == 0
        assert (times[:, 1] >= times[:, 0]).all()
        assert (times[1:, 0] == times[:-1, 1]).all()
    # The frames' lengths in this file are those of others: only their times are right.
    assert times_of(ODD / "made/vfr.mp4")[2:4] == [
        (pytest.approx(7000 / 90_000), pytest.approx(17_000 / 90_000)),
        (pytest.approx(17_000 / 90_000), pytest.approx(34_000 / 90_000)),
    ]
