"""Which stream of a file is its film: cover art, stills and previews are not."""

import json

import av
import numpy as np
import pytest
from PIL import Image

from keras_t3d.data import ConversionOptions, VideoError, VideoReader, convert, read_video
from tests.data.video.films import X264, numbered_frames, numbers

FIRST = list(range(30))
SECOND = list(range(100, 130))
COPY = ("-map", "0", "-map", "1", "-c", "copy")


@pytest.fixture
def two_films(film, tmp_path):
    return [film(tmp_path / f"{first}.mp4", *X264, count=30, first=first) for first in (0, 100)]


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(numbered_frames(1, 200)[0]).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def read(path):
    """Returns the numbers of a file's frames, and of how many films they are one."""
    with VideoReader(path) as reader:
        return numbers(reader), reader.num_streams


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_cover_art_before_the_film(ffmpeg, two_films, picture, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    ffmpeg("-i", picture, "-i", two_films[0], *COPY, "-disposition:v:0", "attached_pic", path)
    found, num_streams = read(path)
    assert found == FIRST
    assert num_streams == (2 if suffix == "mkv" else 1)  # Matroska knows attachments only


@pytest.mark.parametrize("size", ["64:48", "640:480"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts", "avi"])
def test_a_still_before_the_film(ffmpeg, two_films, picture, tmp_path, suffix, size):
    codec = "libvpx" if suffix == "webm" else "libx264"
    both = ("-i", picture, "-i", two_films[0], "-map", "0", "-map", "1")
    encoded = ("-c:v", codec, "-pix_fmt", "yuv420p", "-filter:v:0", f"scale={size}")
    ffmpeg(*both, *encoded, tmp_path / f"x.{suffix}")
    assert read(tmp_path / f"x.{suffix}") == (FIRST, 2)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_preview_before_the_film(ffmpeg, two_films, tmp_path, suffix):
    small, path = tmp_path / "small.mp4", tmp_path / f"x.{suffix}"
    ffmpeg("-i", two_films[1], "-vf", "scale=16:12", *X264, small)
    ffmpeg("-i", small, "-i", two_films[0], *COPY, path)
    assert read(path) == (FIRST, 2)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_first_of_two_films_is_taken(ffmpeg, two_films, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    ffmpeg("-i", two_films[0], "-i", two_films[1], *COPY, path)
    assert read(path) == (FIRST, 2)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_default_of_two_films_is_taken(ffmpeg, two_films, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    chosen = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    ffmpeg("-i", two_films[0], "-i", two_films[1], *COPY, *chosen, path)
    assert read(path) == (SECOND, 2)


@pytest.mark.parametrize("suffix", ["m4a", "mp3"])
def test_a_song_with_a_cover_is_no_video(ffmpeg, picture, tmp_path, suffix):
    path = tmp_path / f"song.{suffix}"
    sound = ("-f", "lavfi", "-i", "sine=d=1", "-i", picture, "-map", "0", "-map", "1")
    ffmpeg(*sound, "-c:v", "copy", "-disposition:v:0", "attached_pic", path)
    with pytest.raises(VideoError, match=r"no video stream but a cover.*song"):
        read_video(path)


def write_films(path, *films):
    """Writes films of as many frames each into one file."""
    with av.open(str(path), "w") as container:
        streams = []
        for frames in films:
            stream = container.add_stream("mpeg4", rate=25)
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
            streams.append(stream)
        for pictures in zip(*films, strict=True):
            for stream, pixels in zip(streams, pictures, strict=True):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def test_a_conversion_notes_files_of_several_films(tmp_path):
    one, two = numbered_frames(10), numbered_frames(10, 100)
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
    write_films(tmp_path / "v" / "train" / "a" / "one.mp4", one)
    write_films(tmp_path / "v" / "train" / "b" / "two.mkv", one, two)
    report = convert(tmp_path / "v", tmp_path / "out", ConversionOptions(workers=1))
    note = {
        "video": "train/b/two.mkv",
        "note": "the default of its 2 video streams was read",
    }
    assert report.notes == (note,)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"] == [note]
    assert numbers(read_video(tmp_path / "v" / "train" / "b" / "two.mkv").frames) == list(range(10))


def test_a_preview_of_the_film_without_a_default(tmp_path):
    """In AVI, no stream is the default."""
    small = np.zeros((10, 16, 16, 3), np.uint8)
    path = write_films(tmp_path / "x.avi", small, numbered_frames(10))
    assert read(path) == (list(range(10)), 2)
