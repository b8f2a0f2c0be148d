import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_t3d.clips import resize_frames
from keras_t3d.data.conversion.encode import encode_parts
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.video.frames import TimedFrame

FRAME = np.zeros((16, 20, 3), np.uint8)


def timed(times, end, frame=FRAME):
    """Frames shown at these times, in seconds, the last one until `end`."""
    return [
        TimedFrame(start, stop, lambda: frame)
        for start, stop in zip(times, [*times[1:], end], strict=True)
    ]


def parts_of(count, fps, max_seconds):
    frames = timed([index / fps for index in range(count)], count / fps)
    return list(encode_parts(frames, fps, ConversionOptions(max_seconds=max_seconds)))


def lengths(count, fps, max_seconds):
    return [len(part.frames) for part in parts_of(count, fps, max_seconds)]


def test_parts_have_at_most_max_seconds():
    assert lengths(20, 10, 2) == [20]
    assert lengths(21, 10, 2) == [11, 10]
    assert lengths(45, 10, 2) == [20, 13, 12]
    assert lengths(60, 10, 2) == [20, 20, 20]


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 90), fps=st.integers(5, 30), seconds=st.integers(1, 4))
def test_no_frame_is_lost_and_no_part_is_short(count, fps, seconds):
    parts = parts_of(count, fps, seconds)
    found = [len(part.frames) for part in parts]
    assert sum(found) == count
    assert max(found) <= fps * seconds
    assert len(found) == 1 or min(found) >= fps * seconds // 2
    times = [time for part in parts for time in part.times]
    assert times == [round(1e6 * index / fps) for index in range(count)]
    assert {part.fps for part in parts} == {fps}


def test_parts_of_a_variable_frame_rate_are_cut_by_time():
    times = [index / 30 for index in range(90)] + [3 + index / 15 for index in range(45)]
    parts = list(encode_parts(timed(times, 6.0), 22.4, ConversionOptions(max_seconds=3)))
    assert [len(part.frames) for part in parts] == [90, 45]
    np.testing.assert_allclose([part.fps for part in parts], [30, 15])


@pytest.mark.parametrize(("count", "gap", "found"), [(10, 100.0, [10]), (70, 60.0, [30, 20, 20])])
def test_a_time_lapse_is_not_cut_into_single_frames(count, gap, found):
    frames = timed([gap * index for index in range(count)], gap * count)
    parts = list(encode_parts(frames, 1 / gap, ConversionOptions(max_seconds=30)))
    assert [len(part.frames) for part in parts] == found
    assert parts[0].times[:3] == (0, round(gap * 1e6), round(2 * gap * 1e6))


def test_frames_whose_time_stands_still_are_cut_too():
    frames = timed([0.0] * 3500, 0.0)
    parts = list(encode_parts(frames, 25.0, ConversionOptions(max_seconds=1)))
    assert [len(part.frames) for part in parts] == [1000, 1000, 750, 750]


def test_an_untrue_frame_rate_is_corrected():
    frames = timed([index / 30 for index in range(60)], 2.0)
    for stated in (0.0, 1000.0, 25.0):
        (video,) = encode_parts(frames, stated, ConversionOptions())
        assert video.fps == pytest.approx(30)


def test_frames_are_read_as_they_are_needed():
    """Two parts of a film are held, not the film."""
    read = 0

    def frames():
        nonlocal read
        for frame in timed([index / 10 for index in range(1000)], 100.0):
            read += 1
            yield frame

    next(encode_parts(frames(), 10, ConversionOptions(max_seconds=2)))
    assert read == 41


@pytest.mark.parametrize(("size", "stored"), [((48, 64), (32, 43)), ((32, 20), (32, 20))])
def test_larger_frames_shrink_as_in_the_view_and_smaller_ones_stay(size, stored):
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = np.stack([4 * rows, 3 * columns, rows + columns], axis=-1).astype(np.uint8)
    frames = timed([0.0], 0.04, frame)
    (video,) = encode_parts(frames, 25.0, ConversionOptions(short_side=32, jpeg_quality=100))
    assert (video.height, video.width) == stored
    stored_as = io.BytesIO()
    resized = Image.fromarray(resize_frames(frame[None], *stored)[0])
    resized.save(stored_as, "JPEG", quality=100, optimize=True, subsampling="4:4:4")
    assert video.frames[0] == stored_as.getvalue()


def test_colours_are_stored_at_full_resolution():
    """Alternating red and blue columns: at half resolution, all of them would be purple."""
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[:, ::2, 0] = frame[:, 1::2, 2] = 200
    (video,) = encode_parts(timed([0.0], 0.04, frame), 25.0, ConversionOptions())
    pixels = np.asarray(Image.open(io.BytesIO(video.frames[0])))
    assert np.abs(pixels.astype(int) - frame).max() <= 10
