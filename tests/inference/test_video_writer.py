"""mp4 files: frames and times, and what remains after an error."""

import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest

from keras_t3d.data import VideoReader, read_video
from keras_t3d.inference import RecordingError, video_writer
from keras_t3d.inference.video_writer import ENCODERS, open_video_writer


def has_encoder(name):
    try:
        return bool(av.Codec(name, "w"))
    except ValueError:
        return False


def blocks(count, height=240, width=320):
    """Grey frames of random 8 x 8 blocks, which need many bits."""
    shape = (count, height // 8, width // 8, 1)
    grey = np.random.default_rng(0).integers(60, 180, shape, dtype=np.uint8)
    return np.repeat(grey.repeat(8, axis=1).repeat(8, axis=2), 3, axis=3)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.name)
def test_every_encoder_keeps_frames_and_uneven_times(tmp_path, monkeypatch, encoder):
    if not has_encoder(encoder.name):
        pytest.skip(f"needs a PyAV with the encoder {encoder.name}: pip install --upgrade av")
    monkeypatch.setattr(video_writer, "ENCODERS", (encoder,))
    out = tmp_path / "out.mp4"
    times = np.cumsum([0.5, *[1001 / 30000, 0.2, 2.5] * 4])  # some begin with sound only
    pictures = blocks(12)
    with open_video_writer(out) as file:
        for picture, start, end in zip(pictures, times[:-1], times[1:], strict=True):
            file.write(picture, start, end)
    with av.open(str(out)) as container:
        starts = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(starts, times[:-1], atol=1e-4)
    with VideoReader(out) as reader:
        frames = list(reader.timed())
        assert reader.damage is None
    lengths = [frame.end - frame.start for frame in frames]
    np.testing.assert_allclose(lengths, np.diff(times), atol=1e-4)
    difference = np.stack([frame.pixels for frame in frames]).astype(int) - pictures
    assert np.abs(difference).mean() < 2.5


def test_a_missing_encoder_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer.av, "codecs_available", set())
    with (
        pytest.raises(OSError, match=r"out\.mp4.*libx264.*pip install --upgrade av"),
        open_video_writer(tmp_path / "out.mp4") as file,
    ):
        file.write(blocks(1, 48, 64)[0], 0, 1)
    assert list(tmp_path.iterdir()) == []


def test_frames_at_the_same_time_are_all_written(tmp_path):
    out = tmp_path / "out.mp4"
    with open_video_writer(out) as file:
        for start, end in ((0, 0), (0, 0), (0, 0.5), (0.5, 0.6)):
            file.write(np.zeros((16, 16, 3), np.uint8), start, end)
    with VideoReader(out) as reader:
        assert [round(frame.start, 2) for frame in reader.timed()] == [0, 0, 0, 0.5]


def test_a_file_that_cannot_be_started_is_named(tmp_path, monkeypatch):
    def full(*arguments):
        raise av.error.OSError(28, "No space left on device")

    monkeypatch.setattr(video_writer.VideoWriter, "_mux", full)
    with (
        pytest.raises(RecordingError, match=r"out\.mp4.*No space left"),
        open_video_writer(tmp_path / "out.mp4") as file,
    ):
        file.write(blocks(1, 48, 64)[0], 0, 1)
    assert list(tmp_path.iterdir()) == []


# Prints the number of frames written so far.
_WRITES = """
import resource, sys
import numpy as np
from keras_t3d.inference.video_writer import open_video_writer

if {most_bytes}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, {most_bytes}))
noise = np.random.default_rng(0).integers(0, 256, (5, 96, 128, 3), dtype=np.uint8)
with open_video_writer({path!r}) as file:
    for index in range(10_000):
        file.write(noise[index % 5], index / 25, (index + 1) / 25)
        print(file.num_frames, flush=True)
"""


def writing(path, most_bytes=0):
    return subprocess.Popen(
        [sys.executable, "-c", _WRITES.format(path=str(path), most_bytes=most_bytes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="files are limited as on Unix")
@pytest.mark.parametrize("most_bytes", [1_400_000, pytest.param(1_500_001, marks=pytest.mark.slow)])
def test_a_full_disk_leaves_a_playable_file(tmp_path, most_bytes):
    process = writing(tmp_path / "out.mp4", most_bytes)
    try:
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
    message = err.splitlines()[-1]
    assert "RecordingError: " in message
    assert "out.mp4" in message
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert 0 < (tmp_path / "out.mp4").stat().st_size <= most_bytes
    with VideoReader(tmp_path / "out.mp4") as reader:
        starts = [frame.start for frame in reader.timed()]
        assert reader.damage is None
    # Lost are a fragment of at most 60 frames and the frames still in the encoder.
    assert len(starts) > int(out.split()[-1]) - 180
    np.testing.assert_allclose(starts, np.arange(len(starts)) / 25, atol=1e-4)


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed as on Unix")
def test_a_killed_process_leaves_a_playable_partial_file(tmp_path):
    process = writing(tmp_path / "out.mp4")
    try:
        while int(process.stdout.readline()) < 250:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".part-")
    assert len(read_video(part).frames) >= 120


def test_memory_does_not_grow_with_the_length(tmp_path):
    # An index at the end would be held in memory until then.
    with open_video_writer(tmp_path / "out.mp4") as file:
        for index in range(240):
            file.write(blocks(1, 48, 64)[0], index / 25, (index + 1) / 25)
    kinds, at, content = [], 0, (tmp_path / "out.mp4").read_bytes()
    while at < len(content):
        kinds.append(content[at + 4 : at + 8])
        at += int.from_bytes(content[at : at + 4], "big")
    assert at == len(content)
    assert kinds[:2] == [b"ftyp", b"moov"]
    assert kinds.count(b"moof") == kinds.count(b"mdat") == 4
    assert os.path.getsize(tmp_path / "out.mp4") < 50_000
