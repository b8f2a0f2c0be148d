"""When frames are shown: presentation timestamps of unusual files."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from keras_t3d.data import ConversionOptions, read_video
from keras_t3d.data.conversion.video_records import write_video_records
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.frames import presentation_times, shown_times
from keras_t3d.data.video.header import VideoHeader
from keras_t3d.data.video.reader import VideoReader
from tests.conftest import SHARED_DATA, counting_frames, frame_numbers, write_video
from tests.data.video.films import X264
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


def test_few_frames_of_which_ffmpeg_finds_no_start(tmp_path):
    """A header that states the rate of the clock, and too few frames to guess another."""
    times, path = [7.0, 7.05, 7.1, 9.0, 9.05, 11.0], tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for time, pixels in zip(times, counting_frames(6), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        assert reader.count() == 6
        assert reader.times.tolist() == [0, 50_000, 100_000, 2_000_000, 2_050_000, 4_000_000]
        assert reader.damage is None
    with VideoReader(path, start=2.0, end=2.1) as reader:
        assert frame_numbers(np.stack(list(reader))) == [3, 4]


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
    header = VideoHeader(
        SimpleNamespace(start_time=sound, format=av.ContainerFormat("mp4")), stream
    )
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


def with_frame_rate(source, target, fps):
    """Writes a frame rate into the header of a Matroska file of 30 fps; None removes it."""
    content = source.read_bytes()
    start = content.index(bytes.fromhex("23E383 84"))  # DefaultDuration, in nanoseconds
    assert int.from_bytes(content[start + 4 : start + 8], "big") == 33_333_333
    void = bytes.fromhex("EC86") + bytes(6)
    length = content[start : start + 4] + round(1e9 / (fps or 1)).to_bytes(4, "big")
    new = void if fps is None else length
    target.write_bytes(content[:start] + new + content[start + 8 :])
    return target


def records_of(path, **options):
    """Returns the records of a video."""
    entry = VideoEntry("v", str(path), "a", "train")
    records = path.with_suffix(".tfrecord")
    write_video_records(entry, 0, ConversionOptions(**options), records, lambda: None)
    with records.open("rb") as file:
        return [stored_video(read_record(file, int(o))) for o in record_offsets(records)]


@pytest.mark.parametrize("stated", [1000, 90_000, 481, 0.5, None])
def test_a_frame_rate_that_is_that_of_a_clock_is_not_believed(tmp_path, stated):
    plain = write_video(tmp_path / "plain.mkv", counting_frames(45), fps=30)
    path = with_frame_rate(plain, tmp_path / "x.mkv", stated)
    (record,) = records_of(path)
    # Without a rate, FFmpeg takes 33 ms for the length of a frame.
    assert record.fps == pytest.approx(30, rel=1e-3 if stated else 0.02)
    np.testing.assert_allclose(record.times, np.arange(45) * 1e6 / 30, atol=501)
    assert frame_numbers(read_video(path).frames) == list(range(45))
    with VideoReader(path, start=0.5, end=1.0) as reader:
        assert frame_numbers(np.stack(list(reader))) == list(range(15, 30))


@pytest.mark.parametrize("stated", [1000, 90_000, None])
def test_records_are_no_longer_than_asked_whatever_the_header_says(tmp_path, stated):
    plain = write_video(tmp_path / "plain.mkv", counting_frames(50), fps=30)
    records = records_of(with_frame_rate(plain, tmp_path / "x.mkv", stated), max_seconds=1)
    assert [len(record.frames) for record in records] == [25, 25]
    times = [time for record in records for time in record.times]
    np.testing.assert_allclose(times, np.arange(50) * 1e6 / 30, atol=501)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ogv", ("-c:v", "libtheora", "-q:v", "8")),
        ("a.ivf", ("-c:v", "libvpx", "-b:v", "400k")),
        ("a.webm", ("-c:v", "libvpx", "-b:v", "400k")),
        ("a.ts", X264),
        ("a.gif", ("-pix_fmt", "rgb24")),
    ],
)
def test_times_and_rate_are_stored_where_no_header_states_a_rate(film, tmp_path, name, options):
    (record,) = records_of(film(tmp_path / name, *options, count=50))
    assert record.fps == pytest.approx(25, rel=1e-3)
    np.testing.assert_allclose(record.times, np.arange(50) * 4e4, atol=501)


def test_times_of_a_variable_frame_rate_are_stored(tmp_path):
    times = [*(n / 25 for n in range(25)), *(1 + n / 10 for n in range(10))]
    (record,) = records_of(write_uneven_video(tmp_path / "x.mp4", counting_frames(35), times))
    assert record.times == tuple(round(1e6 * time) for time in times)
    assert record.fps == pytest.approx(34 / times[-1])


def test_a_real_rate_of_a_thousand_is_kept(tmp_path):
    (record,) = records_of(write_video(tmp_path / "x.mp4", counting_frames(40), fps=1000))
    assert record.fps == pytest.approx(1000, rel=1e-3)
    np.testing.assert_allclose(record.times, np.arange(40) * 1e3, atol=1)
