"""Videos with bad packets: what is left out, what is said, and that all readings agree."""

from fractions import Fraction

import av
import numpy as np
import pytest

from keras_t3d.data import ConversionOptions, VideoError, VideoReader, convert, read_video
from keras_t3d.data.video import decoding
from tests.conftest import SHARED_DATA, counting_frames, frame_numbers, write_video
from tests.data.copied_videos import (
    mjpeg,
    trimmed,
    trimmed_at_the_end,
    with_bad_packets,
    with_packets,
)
from tests.data.video.films import X264, cut_short, numbered_frames, read_numbers

ODD = SHARED_DATA / "odd"


@pytest.fixture
def whole(tmp_path):
    """40 pictures, each by itself, 10 a second."""
    return mjpeg(tmp_path / "whole.avi", counting_frames(40))


def test_a_bad_packet_is_left_out_and_the_rest_is_read(whole, tmp_path):
    path = with_bad_packets(whole, tmp_path / "bad.avi", 12)
    expected = [number for number in range(40) if number != 12]
    video = read_video(path)
    assert frame_numbers(video.frames) == expected
    assert video.damage == "1 damaged packet left out"
    with VideoReader(path) as reader:
        assert reader.count() == 39
    with VideoReader(path) as reader:
        picked = dict(reader.pick([0, 11, 12, 38]))
    assert frame_numbers(np.stack(list(picked.values()))) == [0, 11, 13, 39]
    with VideoReader(path) as reader:
        timed = list(reader.timed())
        assert reader.damage == video.damage
    assert frame_numbers(np.stack([frame.pixels for frame in timed])) == expected
    # The picture before it stays until the next comes.
    np.testing.assert_allclose((timed[11].start, timed[11].end), (1.1, 1.3))


@pytest.mark.parametrize("bad", [[0], [0, 1, 39], list(range(0, 40, 2)), [38, 39]])
def test_any_number_of_bad_packets(whole, tmp_path, bad):
    path = with_bad_packets(whole, tmp_path / "bad.avi", *bad)
    video = read_video(path)
    assert frame_numbers(video.frames) == [number for number in range(40) if number not in bad]
    packets = "packet" if len(bad) == 1 else "packets"
    assert video.damage.startswith(f"{len(bad)} damaged {packets} left out")


def test_nothing_but_bad_packets_is_no_video(whole, tmp_path):
    path = with_bad_packets(whole, tmp_path / "bad.avi", *range(40))
    with pytest.raises(VideoError, match=r"\(40 damaged packets"):
        read_video(path)


def test_too_many_in_a_row_end_the_video(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_MOST_BAD_PACKETS", 5)
    four = with_bad_packets(whole, tmp_path / "four.avi", *range(10, 14), *range(20, 24))
    assert len(read_video(four).frames) == 32
    five = with_bad_packets(whole, tmp_path / "five.avi", *range(10, 15))
    video = read_video(five)
    assert frame_numbers(video.frames) == list(range(10))
    assert "stopped after 10 frames (5 damaged packets in a row)" in video.damage


def test_an_empty_packet_does_not_end_the_video(whole, tmp_path):
    path = with_packets(whole, tmp_path / "x.mkv", lambda index, old: b"" if index == 7 else old)
    assert frame_numbers(read_video(path).frames) == [n for n in range(40) if n != 7]


@pytest.mark.parametrize(
    ("start", "end", "damaged"),
    [(0.0, 1.2, False), (1.3, 3.0, False), (1.0, 2.0, True), (None, 1.3, True), (1.2, None, True)],
)
def test_a_span_is_damaged_by_its_own_packets_only(whole, tmp_path, start, end, damaged):
    path = with_bad_packets(whole, tmp_path / "bad.avi", 12)
    with VideoReader(path, start=start, end=end) as reader:
        found = frame_numbers(np.stack(list(reader)))
    first, last = round(10 * (start or 0)), round(10 * (end or 4))
    assert found == [number for number in range(first, last) if number != 12]
    assert (reader.damage is not None) == damaged


def test_pictures_that_refer_to_others_go_on_after_a_bad_packet(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "whole.mp4", noise, fps=10)
    bad = with_packets(
        path, tmp_path / "bad.mp4", lambda index, old: old[:9] if index == 20 else old
    )
    video = read_video(bad)
    assert 45 < len(video.frames) < 50
    assert video.damage.startswith("1 damaged packet left out")
    assert np.array_equal(video.frames, read_video(bad).frames)


@pytest.mark.parametrize("source", ["bad", "cut"])
def test_what_comes_of_a_damaged_file_depends_on_no_machine(tmp_path, source):
    """Several threads conceal damage otherwise than one, and lose frames at the end."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "whole.avi", noise, fps=10)
    if source == "cut":
        (tmp_path / "x.avi").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        with_packets(path, tmp_path / "x.avi", lambda index, old: old[:9] if index == 20 else old)
    with VideoReader(tmp_path / "x.avi", threads=1) as reader:
        one_thread = np.stack(list(reader))
        damage = reader.damage
    video = read_video(tmp_path / "x.avi")
    assert np.array_equal(video.frames, one_thread)
    assert video.damage == damage


def unconvertible(path):
    """60 frames of 4000 x 3, the 20th to 22nd of them 2 x 16384: too thin to be scaled to that."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 4000, 3, "yuvj420p"
        thin = av.CodecContext.create("mjpeg", "w")
        thin.width, thin.height, thin.pix_fmt = 2, 16384, "yuvj420p"
        thin.time_base = Fraction(1, 10)
        for index in range(60):
            encoder = thin if 20 <= index < 23 else stream.codec_context
            pixels = np.full((encoder.height, encoder.width, 3), 4 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            for packet in encoder.encode(frame.reformat(format="yuvj420p")):
                packet.stream = stream
                container.mux(packet)
    return path


def test_frames_that_cannot_become_rgb_are_left_out_however_they_are_read(tmp_path):
    path = unconvertible(tmp_path / "x.avi")
    expected = [index for index in range(60) if not 20 <= index < 23]
    readings = {}
    with VideoReader(path) as reader:
        readings["frames"] = [int(frame.mean().round()) for frame in reader]
        damage = reader.damage
    with VideoReader(path) as reader:
        readings["timed"] = [int(frame.pixels.mean().round()) for frame in reader.timed()]
        assert reader.damage == damage
    with VideoReader(path) as reader:
        readings["picked"] = [int(f.mean().round()) for _, f in reader.pick(range(60))]
        assert reader.damage == damage
    with VideoReader(path) as reader:
        assert reader.count() == 57
        assert reader.damage == damage
    for reading in readings.values():
        np.testing.assert_allclose(np.array(reading) / 4, expected, atol=0.6)
    assert damage.startswith("3 frames cannot be turned into RGB (Invalid argument)")


@pytest.mark.parametrize(
    ("trim", "seconds", "shown"),
    [(trimmed, 0.4, range(10, 40)), (trimmed_at_the_end, 1.0, range(25))],
)
def test_a_trimmed_video_is_whole(tmp_path, trim, seconds, shown):
    path = trim(
        write_video(tmp_path / "whole.mp4", counting_frames(40)), tmp_path / "x.mp4", seconds
    )
    video = read_video(path)
    assert frame_numbers(video.frames) == list(shown)
    assert video.damage is None
    with VideoReader(path) as reader:
        assert reader.header.num_frames == len(shown)
        times = [(frame.start, frame.end) for frame in reader.timed()]
        assert reader.damage is None
    end = len(shown) / 25
    np.testing.assert_allclose([times[0], times[-1]], [(0, 0.04), (end - 0.04, end)])
    for start, until in ((0.0, None), (0.4, 0.8), (0.4, end + 0.3)):
        with VideoReader(path, start=start, end=until) as reader:
            assert reader.count() > 0
            assert reader.damage is None


def test_a_trimmed_video_that_is_cut_short_is_damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "whole.mp4", noise)
    path = trimmed(path, tmp_path / "trimmed.mp4", 0.4)
    content = bytearray(path.read_bytes())
    packets = content.index(b"mdat") + 4
    half = int.from_bytes(content[packets - 8 : packets - 4], "big") // 2
    content[packets + half : packets + 2 * half - 8] = bytes(half - 8)
    path.write_bytes(content)
    video = read_video(path)
    assert 5 < len(video.frames) < 30
    assert "damaged packets left out" in video.damage


def test_a_conversion_names_what_it_left_out(whole, tmp_path):
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
    whole.rename(tmp_path / "v" / "train" / "b" / "whole.avi")
    source = tmp_path / "v" / "train" / "b" / "whole.avi"
    with_bad_packets(source, tmp_path / "v" / "train" / "a" / "bad.avi", 12, 30)
    report = convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    assert report.videos["train"] == 2
    assert report.damaged == (
        {
            "video": "train/a/bad.avi",
            "reason": "2 damaged packets left out",
        },
    )


@pytest.mark.skipif(not ODD.is_dir(), reason=f"needs the shared videos in {ODD}")
def test_a_damaged_file_of_others():
    video = read_video(ODD / "decord" / "test_data_corrupted.mp4")
    assert len(video.frames) == 49
    assert video.damage == "1 damaged packet left out"


MPEG4 = ("-c:v", "mpeg4", "-q:v", "3", "-g", "25")
OPEN_GOP = "open_gop=1:keyint=25:min-keyint=25:bframes=2:b-adapt=0:scenecut=0"


@pytest.mark.parametrize(
    ("name", "options", "cut"),
    [
        ("a.mp4", (*X264, "-g", "30"), "a.mp4"),
        ("a.mov", (*X264, "-g", "30", "-bf", "0"), "a.mov"),
        ("a.mp4", (*MPEG4, "-bf", "2"), "a.mp4"),
        ("a.mp4", (*X264, "-x264-params", OPEN_GOP), "a.mp4"),
        ("a.mkv", (*X264, "-g", "30"), "a.mkv"),
        ("a.ts", (*X264, "-g", "30"), "a.mp4"),
        ("a.mp4", (*MPEG4, "-bf", "2"), "a.avi"),
        ("a.mp4", (*X264, "-x264-params", OPEN_GOP), "a.avi"),
    ],
)
def test_clips_cut_without_encoding_are_whole(ffmpeg, film, tmp_path, name, options, cut):
    """Edit lists hide their first frames; some begin with frames whose key frame is gone."""
    (tmp_path / "cut").mkdir()
    whole, path = film(tmp_path / name, *options), tmp_path / "cut" / cut
    for start, length in ((0.0, 1.0), (1.3, 1.0), (2.02, 0.5), (2.5, 2.0)):
        ffmpeg("-ss", start, "-i", whole, "-t", length, "-c", "copy", path)
        found, damage = read_numbers(path)
        assert damage is None, start
        assert len(found) > 10
        assert found == sorted(found)
        with VideoReader(path) as reader:
            times = [frame.start for frame in reader.timed()]
        gaps = np.diff(times) * 25
        np.testing.assert_allclose(gaps[:-2], np.diff(found)[:-2], atol=0.1)


def test_an_avi_copied_from_an_mp4_is_whole(ffmpeg, film, tmp_path):
    """Its clock has 600 ticks a second, which its header calls frames."""
    path = film(tmp_path / "a.mp4", *X264)
    ffmpeg("-i", path, "-c", "copy", tmp_path / "a.avi")
    assert read_numbers(tmp_path / "a.avi") == (list(range(100)), None)
    with VideoReader(tmp_path / "a.avi") as reader:
        assert (reader.header.fps, reader.header.num_frames) == (25.0, 100)


class _Pipe:
    """A file that cannot go back."""

    def __init__(self, path):
        self._file = path.open("wb")

    def write(self, content):
        return self._file.write(content)

    def close(self):
        self._file.close()


def test_an_avi_written_to_a_pipe_is_whole(tmp_path):
    pipe = _Pipe(tmp_path / "x.avi")
    with av.open(pipe, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for pixels in numbered_frames(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    pipe.close()
    assert read_numbers(tmp_path / "x.avi") == (list(range(40)), None)
    assert read_numbers(tmp_path / "x.avi", 0.4, 0.8) == (list(range(10, 20)), None)


def test_an_avi_whose_recorder_dropped_frames_is_whole(tmp_path):
    """AVI has an empty packet for each of them."""
    kept = [number for number in range(45) if number % 3 != 1]
    with av.open(str(tmp_path / "x.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for number, pixels in zip(range(45), counting_frames(45), strict=True):
            if number in kept:
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with VideoReader(tmp_path / "x.avi") as reader:
        timed = [(round(30 * f.start), f.pixels) for f in reader.timed()]
        assert reader.damage is None
    assert frame_numbers(np.stack([pixels for _, pixels in timed])) == kept
    assert [time for time, _ in timed] == kept
    assert reader.fps == pytest.approx(20, rel=0.02)
    with VideoReader(tmp_path / "x.avi", start=0.3, end=0.6) as reader:
        expected = [number for number in kept if 9 <= number < 18]
        assert frame_numbers(np.stack(list(reader))) == expected
        assert reader.damage is None


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.avi", MPEG4, "header says 100 frames"),
        ("a.mkv", X264, "header says 4.00 seconds"),
        ("a.webm", ("-c:v", "libvpx", "-b:v", "500k"), "header says 4.00 seconds"),
        ("a.flv", X264, "header says 4.00 seconds"),
        ("a.mp4", (*X264, "-movflags", "+faststart"), ""),
        ("a.mp4", (*X264, "-g", "25", "-movflags", "frag_keyframe+empty_moov"), ""),
    ],
)
def test_a_file_cut_short_is_damaged(film, tmp_path, name, options, said):
    path = cut_short(film(tmp_path / name, *options), tmp_path / f"cut_{name}")
    found, damage = read_numbers(path)
    assert 5 < len(found) < 95
    assert said in damage
    assert read_numbers(path, 0.2, 0.6) == (list(range(5, 15)), None)


@pytest.mark.parametrize("suffix", ["mkv", "flv", "mp4", "avi", "ts"])
def test_sound_that_is_longer_than_the_picture_is_no_damage(ffmpeg, film, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    sound = ("-f", "lavfi", "-i", "sine=d=9")
    ffmpeg("-i", film(tmp_path / "a.mp4", *X264), *sound, "-c:v", "copy", path)
    assert read_numbers(path) == (list(range(100)), None)
