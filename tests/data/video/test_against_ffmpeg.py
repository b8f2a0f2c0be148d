"""Files of many codecs and containers have the frames and times that ffmpeg gives them."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from keras_t3d.data import ConversionOptions, VideoReader
from keras_t3d.data.conversion.video_records import Outcome, write_video_records
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record
from keras_t3d.data.sources.listing import VideoEntry
from tests.data.video.variants import VARIANTS, decoded_by_ffmpeg, write_variant

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(params=VARIANTS)
def path(request, ffmpeg, folder):
    path = folder / request.param
    return path if path.exists() else write_variant(path, VARIANTS[request.param])


def read(path):
    with VideoReader(path) as reader:
        return np.stack(list(reader)), reader.times / 1e6, reader.damage


def test_frames_times_and_pictures(path):
    frames, times, damage = read(path)
    expected, expected_times = decoded_by_ffmpeg(path, *frames.shape[1:3])
    assert frames.shape == expected.shape
    assert damage is None
    np.testing.assert_allclose(times, expected_times, atol=1e-5)
    # Nearly all are the same. Colours between stored ones differ in 10 bits, in odd sizes, and in
    # interlaced frames, whose fields are scaled apart.
    difference = np.abs(frames.astype(int) - expected)
    assert difference.mean() < 1.5
    assert difference.max() < 25


def test_records(path, tmp_path):
    frames, times, _ = read(path)
    entry = VideoEntry(path.name, str(path), "a", "train")
    outcome = write_video_records(entry, 0, ConversionOptions(), tmp_path / "x", lambda: None)
    assert outcome == Outcome(records=1)
    with open(tmp_path / "x", "rb") as file:
        video = stored_video(read_record(file, 0))
    np.testing.assert_allclose(np.array(video.times) / 1e6, times, atol=1e-5)
    stored = np.stack([np.asarray(Image.open(io.BytesIO(frame))) for frame in video.frames])
    if stored.shape == frames.shape:  # not reduced
        assert np.abs(stored.astype(int) - frames).mean() < 6


def test_random_spans(path):
    frames, times, _ = read(path)
    draws = random.Random(path.name)
    for _ in range(6):
        first = draws.randrange(len(times))
        start, end = times[first] - draws.uniform(0, 0.02), draws.uniform(times[first], times[-1])
        # Never as near to a frame's time that the rounding of a clock decides.
        if np.abs(np.subtract.outer(times, (start, end))).min() < 2e-3 or start < 0 or end < start:
            continue
        with VideoReader(path, start=start, end=end) as reader:
            found = np.stack(list(reader))
        np.testing.assert_array_equal(found, frames[(times >= start) & (times < end)])
