import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_t3d.clips import resize_frames
from keras_t3d.data.conversion.encode import encode_parts
from keras_t3d.data.conversion.options import ConversionOptions

FRAME = np.zeros((16, 20, 3), np.uint8)


def lengths(count, fps, max_seconds):
    parts = encode_parts([FRAME] * count, fps, ConversionOptions(max_seconds=max_seconds))
    return [len(part.frames) for part in parts]


def test_parts_of_at_most_so_many_seconds():
    assert lengths(20, 10, 2) == [20]
    assert lengths(21, 10, 2) == [10, 11]
    assert lengths(45, 10, 2) == [20, 12, 13]
    assert lengths(60, 10, 2) == [20, 20, 20]
    assert lengths(60, 0.0, 2) == [30, 30]  # unknown counts as 25 a second
    assert lengths(3, 0.1, 1) == [1, 1, 1]


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 90), fps=st.integers(1, 10), seconds=st.integers(1, 4))
def test_no_frame_is_lost_and_no_part_is_short(count, fps, seconds):
    found = lengths(count, fps, seconds)
    assert sum(found) == count
    assert max(found) <= fps * seconds
    assert len(found) == 1 or min(found) >= fps * seconds // 2


def test_frames_are_read_as_they_are_needed():
    """Two parts of a film are held, not the film."""
    read = 0

    def frames():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield FRAME

    next(encode_parts(frames(), 10, ConversionOptions(max_seconds=2)))
    assert read == 41


@pytest.mark.parametrize(("size", "stored"), [((48, 64), (32, 43)), ((32, 20), (32, 20))])
def test_larger_frames_shrink_as_in_the_view_and_smaller_ones_stay(size, stored):
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = np.stack([4 * rows, 3 * columns, rows + columns], axis=-1).astype(np.uint8)
    (video,) = encode_parts([frame], 25.0, ConversionOptions(short_side=32, jpeg_quality=100))
    assert (video.height, video.width) == stored
    pixels = np.asarray(Image.open(io.BytesIO(video.frames[0])))
    expected = resize_frames(frame[None], *stored)[0]
    assert np.abs(pixels.astype(int) - expected).max() <= 6
