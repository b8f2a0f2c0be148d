"""Spans have exactly the frames whose time lies in [start, end), in every container."""

import itertools
import math
from fractions import Fraction

import av
import pytest

from keras_t3d.data import ConversionOptions, VideoReader
from keras_t3d.data.conversion.video_records import write_video_records
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video import span as spans
from tests.data.video.films import X264, cut_short, joined, read_numbers

H265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params")
OPEN_GOP = "open_gop=1:keyint=30:min-keyint=30:bframes=3:b-adapt=0:scenecut=0"
NTSC = "30000/1001"
MPEG4 = ("-c:v", "mpeg4", "-q:v", "3", "-g", "48")
MPEG2 = ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "3", "-g", "18")
VP8 = ("-c:v", "libvpx", "-g", "48", "-deadline", "realtime", "-b:v", "500k")
FILMS = [
    ("long.ts", "25", (*X264, "-g", "250")),
    ("short.ts", "25", (*X264, "-g", "12")),
    ("long.m2ts", NTSC, (*X264, "-g", "250", "-f", "mpegts", "-mpegts_m2ts_mode", "1")),
    ("hevc.ts", "25", (*H265, "log-level=error:keyint=250:bframes=4")),
    ("open.ts", "25", (*X264, "-x264-params", OPEN_GOP)),
    ("open2.ts", "25", MPEG2),
    ("refresh.ts", "25", (*X264, "-x264-params", "intra-refresh=1:keyint=30")),
    ("a.mkv", "24", (*X264, "-g", "48")),
    ("b.mkv", "30", (*X264, "-g", "48")),
    ("c.mkv", NTSC, (*X264, "-g", "48")),
    ("open.mkv", "30", (*X264, "-x264-params", OPEN_GOP)),
    ("a.webm", "30", VP8),
    ("b.webm", "24", VP8),
    ("a.flv", "30", (*X264, "-g", "48")),
    ("b.flv", NTSC, (*X264, "-g", "48")),
    ("b_frames.avi", "25", (*MPEG4, "-bf", "2")),
    ("deep.avi", "30", (*X264, "-bf", "3", "-g", "48")),
    ("plain.avi", "25", MPEG4),
    ("raw.h264", "25", (*X264, "-g", "48")),
    ("faster.h264", "30", (*X264, "-bf", "2")),
    ("slower.hevc", "12", (*H265, "log-level=error")),
    ("raw.m2v", "25", ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")),
    ("raw.m1v", "25", ("-c:v", "mpeg1video", "-q:v", "2")),
    ("raw.m4v", "25", MPEG4),
    ("a.mpg", "25", (*MPEG2, "-f", "vob")),
    ("a.wmv", "25", ("-c:v", "wmv2", "-q:v", "3", "-g", "48")),
    ("b.asf", "25", (*MPEG4, "-bf", "2")),
    ("c.asf", "25", (*X264, "-bf", "3", "-g", "48")),
    ("open.mp4", "25", (*X264, "-x264-params", OPEN_GOP)),
    ("refresh.mp4", "25", (*X264, "-x264-params", "intra-refresh=1:keyint=30")),
    ("fragments.mp4", "25", (*X264, "-g", "30", "-movflags", "frag_keyframe+empty_moov")),
    ("a.mov", NTSC, (*X264, "-g", "250")),
    ("a.gif", "25", ("-pix_fmt", "rgb24")),
    ("a.ogv", "25", ("-c:v", "libtheora", "-q:v", "9", "-g", "30")),
    ("a.ivf", "25", VP8),
    ("a.mxf", "25", MPEG2),
]
# In frames: from the start, on and between frames, at the very end, past the end.
SPANS = [(0, 7), (1, 4), (52, 53), (55, 65), (61.5, 70.5), (75, 90.5), (98, 100), (99, 101)]


def expected(first, last, count=100):
    return list(range(math.ceil(first), min(math.ceil(last), count)))


@pytest.mark.parametrize(("name", "fps", "options"), FILMS, ids=[name for name, *_ in FILMS])
def test_a_span_is_what_is_shown_in_it(film, tmp_path, name, fps, options):
    path = film(tmp_path / name, *options, fps=fps)
    assert read_numbers(path) == (list(range(100)), None)
    rate = Fraction(fps)
    for first, last in SPANS:
        found = read_numbers(path, float(first / rate), float(last / rate))
        assert found == (expected(first, last), None), (first, last)
    assert read_numbers(path, float(90 / rate), None) == (list(range(90, 100)), None)
    assert read_numbers(path, None, float(9 / rate)) == (list(range(9)), None)
    beyond, damage = read_numbers(path, float(95 / rate), 60.0)
    assert beyond == list(range(95, 100))
    assert "the span ends at 60 seconds" in damage


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fps", "options"), FILMS, ids=[name for name, *_ in FILMS])
def test_a_span_far_into_a_film(film, tmp_path, name, fps, options):
    path = film(tmp_path / name, *options, fps=fps, count=250)
    rate = Fraction(fps)
    for first, length in itertools.product((60, 99, 120.5, 175, 240), (1, 9, 10)):
        found = read_numbers(path, float(first / rate), float((first + length) / rate))
        assert found == (expected(first, first + length, 250), None), (first, length)


def remuxed(source, target):
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.size:
                packet.stream = copied
                new.mux(packet)
    return target


def test_a_film_copied_from_mp4_to_mkv_to_mp4(film, tmp_path):
    path = film(tmp_path / "a.mp4", *X264, "-g", "30")
    path = remuxed(remuxed(path, tmp_path / "b.mkv"), tmp_path / "c.mp4")
    assert read_numbers(path) == (list(range(100)), None)
    for first, last in SPANS:
        found = read_numbers(path, first / 25, last / 25)
        assert found == (expected(first, last), None), (first, last)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(2.0, 2.4, 50, 60), (5.0, 5.4, 125, 135), (6.6, 6.8, 165, 170), (6.8, None, 170, 200)],
)
def test_joined_recordings_continue_where_the_times_jump_back(
    film, tmp_path, start, end, first, last
):
    options = (*X264, "-g", "25")
    one = film(tmp_path / "one.ts", *options)
    two = film(tmp_path / "two.ts", *options, first=100)
    path = joined(tmp_path / "both.ts", one, two)
    assert read_numbers(path, start, end) == (list(range(first, last)), None)


def test_a_broadcast_recorded_from_within_a_group_of_pictures(film, tmp_path):
    whole = film(tmp_path / "whole.ts", *X264, "-g", "30", "-bf", "2")
    content = whole.read_bytes()
    path = tmp_path / "later.ts"
    path.write_bytes(content[len(content) // 188 // 8 * 188 :])
    with VideoReader(path) as reader:
        timed = [(frame.start, frame.pixels) for frame in reader.timed()]
    for start, end in ((0.0, 1.0), (2.2, 2.6), (3.0, 3.2)):
        inside = [pixels for time, pixels in timed if start <= time < end - 1e-4]
        with VideoReader(path, start=start, end=end) as reader:
            assert sum(1 for _ in reader) == len(inside)


def outcome(path, start, end):
    entry = VideoEntry("v", str(path), "a", "train", start=start, end=end)
    records = path.with_suffix(".tfrecord")
    return write_video_records(entry, 0, ConversionOptions(), records, lambda: None)


@pytest.mark.parametrize(
    ("name", "options"), [("a.mkv", X264), ("a.webm", VP8), ("a.mp4", X264), ("a.avi", MPEG4)]
)
def test_a_file_cut_short_is_read_or_rejected(film, tmp_path, name, options):
    path = cut_short(film(tmp_path / name, *options), tmp_path / f"cut_{name}")
    for start in (0.0, 1.0, 2.5, 3.9, 30.0):
        found = outcome(path, start, start + 0.4)
        is_there = name != "a.mp4" and start < 2.0  # an mp4 without its index holds nothing
        assert (found.records, found.reason is None) == (int(is_there), is_there)


def test_an_avi_of_a_header_alone_is_rejected(film, tmp_path):
    content = film(tmp_path / "a.avi", *MPEG4).read_bytes()
    path = tmp_path / "header.avi"
    path.write_bytes(content[: content.index(b"movi") + 4])
    for start in (0.0, 3.0):
        assert outcome(path, start, start + 1.0).reason


def test_an_error_of_ffmpeg_rejects_the_video_alone(film, tmp_path, monkeypatch):
    """PyAV's errors are OSErrors, like those of a full disk."""
    path = film(tmp_path / "a.mp4", *X264)

    def refuse(*_):
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(VideoReader, "_timed_frames", refuse)
    assert outcome(path, 2.5, 3.0).reason == "Operation not permitted"


def test_a_file_that_cannot_seek_is_read_from_its_start(film, tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", *X264)
    monkeypatch.setattr(spans, "_EARLY", (0.1,))
    seeks = []

    def refuse(container, *_):
        seeks.append(container)

    monkeypatch.setattr("keras_t3d.data.video.reader.seek_before", refuse)
    assert read_numbers(path, 2.4, 2.8) == (list(range(60, 70)), None)
    assert len(seeks) == 1
