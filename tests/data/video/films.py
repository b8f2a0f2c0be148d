"""Films whose frames show their number, written by ffmpeg where PyAV cannot write the case."""

from __future__ import annotations

import importlib
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from keras_t3d.data import VideoError, VideoReader

_BITS = 8  # blocks of black or white, in two rows
X264 = ("-c:v", "libx264", "-preset", "veryfast")


def find_ffmpeg():
    """Returns the path of ffmpeg: that of imageio-ffmpeg, or one on the path; None if absent."""
    try:
        return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return shutil.which("ffmpeg")


def run_ffmpeg(*arguments, content=None):
    """Runs ffmpeg with one thread; skips the test if this build lacks what it needs."""
    found = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-y", "-threads", "1", *map(str, arguments)],
        input=content,
        capture_output=True,
        check=False,
    )
    message = found.stderr.decode(errors="replace")
    if "Unknown encoder" in message:
        pytest.skip(f"this ffmpeg lacks an encoder: {message.strip()}")
    assert found.returncode == 0, message


def numbered_frames(count, first=0):
    """Returns frames (count, 48, 64, 3) that show their numbers, which `numbers` reads."""
    numbers = np.arange(first, first + count)
    bits = numbers[:, None] >> np.arange(_BITS) & 1
    blocks = np.where(bits, 235, 20).astype(np.uint8).reshape(count, 2, _BITS // 2)
    return np.repeat(blocks.repeat(24, 1).repeat(16, 2)[..., None], 3, axis=-1)


def numbers(frames):
    """Returns the numbers that `numbered_frames` show; -1 where a block is grey."""
    found = []
    for frame in frames:
        height, width = frame.shape[0] // 2, frame.shape[1] // (_BITS // 2)
        middles = frame[height // 2 :: height, width // 2 :: width].mean(axis=-1).ravel()
        grey = np.any((middles > 80) & (middles < 175))
        found.append(-1 if grey else int(((middles > 127) << np.arange(_BITS)).sum()))
    return found


def write_film(path, *options, count=100, fps="25", first=0):
    """Writes numbered frames with these options of ffmpeg; returns the path."""
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", fps, "-i", "-")
    content = numbered_frames(count, first).tobytes()
    run_ffmpeg(*source, "-pix_fmt", "yuv420p", *options, path, content=content)
    return path


def read_numbers(path, start=None, end=None):
    """Returns the numbers of the frames of a span, and what is said of damage."""
    with VideoReader(path, start=start, end=end) as reader:
        try:
            return numbers(reader), reader.damage
        except VideoError as error:
            if "it holds none" in str(error):
                return [], None
            raise


def cut_short(source, target, part=0.6):
    """Copies the first part of a file."""
    content = pathlib.Path(source).read_bytes()
    pathlib.Path(target).write_bytes(content[: int(len(content) * part)])
    return pathlib.Path(target)


def joined(target, *sources):
    """Writes files one after the other."""
    pathlib.Path(target).write_bytes(
        b"".join(pathlib.Path(os.fspath(s)).read_bytes() for s in sources)
    )
    return target
