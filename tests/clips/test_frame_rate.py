import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.clips.frame_rate import (
    even_times,
    frames_at_rate,
    nearest_frames,
    random_clip_at_rate,
)
from keras_t3d.errors import InvalidArgumentError

RATES = st.sampled_from([5.0, 8.0, 10.0, 12.5, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 60.0, 120.0])
PHONE = np.round(1e6 * np.array([i / 30 for i in range(90)] + [3 + i / 15 for i in range(45)]))
PHONE = PHONE.astype(np.int64)
GAPS = st.lists(st.integers(0, 2_000_000), min_size=0, max_size=40)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(25.0, range(10)), (10.0, [0, 3, 5, 8]), (50.0, [0, 1, 1, 2, 2]), (2.0, [0]), (5.0, [0, 5])],
)
def test_frames_of_a_constant_rate(fps, expected):
    found = frames_at_rate(even_times(10, 25.0), fps)
    assert found.tolist()[: len(expected)] == list(expected)


def test_frames_of_a_variable_rate_are_even_in_time():
    times = PHONE[frames_at_rate(PHONE, 10.0)]
    np.testing.assert_allclose(np.diff(times), 100_000, atol=33_334)
    np.testing.assert_array_equal(times[:31], 100_000 * np.arange(31))
    assert len(times) == 60
    for draw in np.linspace(0, 0.999, 20):
        clip = PHONE[random_clip_at_rate(PHONE, 16, 10.0, draw)]
        np.testing.assert_allclose(np.diff(clip), 100_000, atol=33_334)


def test_a_frame_of_a_time_lapse_is_held():
    times = np.arange(5) * 100_000_000
    assert random_clip_at_rate(times, 16, 10.0, 0.5).tolist() == [2] * 16
    assert len(frames_at_rate(times, 0.01)) == 5


@pytest.mark.parametrize(
    ("short", "expected"), [("loop", [0, 5, 0, 5]), ("pad", [0, 5, 9, 9]), ("error", None)]
)
def test_short_videos(short, expected):
    times = even_times(10, 25.0)
    if expected is None:
        with pytest.raises(InvalidArgumentError, match="`short`"):
            random_clip_at_rate(times, 4, 5.0, 0.0, short=short)
    else:
        assert random_clip_at_rate(times, 4, 5.0, 0.0, short=short).tolist() == expected


@given(st.integers(1, 90), RATES, st.floats(1.0, 60.0), st.floats(0, 0.999))
def test_clips_of_a_constant_rate_are_those_by_stride(count, video_fps, fps, draw):
    """What records without times are read by: frames at multiples of a stride."""
    num_frames = 6
    offsets = np.floor(video_fps / fps * np.arange(num_frames) + 0.5).astype(int)
    near_ties = np.abs((video_fps / fps * np.arange(num_frames)) % 1 - 0.5) < 1e-3
    last = max(count - offsets[-1] - 1, 0)
    start = min(int(draw * (last + 1)), last)
    found = random_clip_at_rate(even_times(count, video_fps), num_frames, fps, draw, short="pad")
    expected = np.minimum(start + offsets, count - 1)
    if not near_ties.any():
        np.testing.assert_array_equal(found, expected)
    assert np.abs(found - expected).max() <= 1


@given(GAPS, st.lists(st.integers(-1000, 3_000_000), min_size=1, max_size=5))
def test_the_nearest_frame_is_found(gaps, wanted):
    times = np.cumsum([0, *gaps])
    found = nearest_frames(times, np.array(wanted))
    least = np.abs(times[:, None] - np.array(wanted)).min(axis=0)
    assert (np.abs(times[found] - wanted) - least <= 2).all()


@settings(deadline=None, max_examples=60)
@given(GAPS, st.floats(0.5, 60.0), st.floats(0, 0.999), st.sampled_from(["loop", "pad"]))
def test_tensorflow_returns_the_same_frames(gaps, fps, draw, short):
    tf = pytest.importorskip("tensorflow")
    from keras_t3d.clips import tensorflow_frame_rate as in_graph

    times = np.cumsum([0, *gaps])
    if (times[-1] / 1e6) * fps < 5000:
        np.testing.assert_array_equal(
            in_graph.frames_at_rate_tensorflow(tf.constant(times), fps), frames_at_rate(times, fps)
        )
    np.testing.assert_array_equal(
        in_graph.random_clip_at_rate_tensorflow(
            tf.constant(times), 7, fps, tf.constant(draw, tf.float64), short=short
        ),
        random_clip_at_rate(times, 7, fps, draw, short=short),
    )


def test_tensorflow_counts_times_alike_and_refuses_short_videos():
    tf = pytest.importorskip("tensorflow")
    from keras_t3d.clips import tensorflow_frame_rate as in_graph

    for count, fps in itertools.product((1, 50), (7.0, 25.0, 29.97, 30.0)):
        found = in_graph.even_times_tensorflow(count, tf.constant(fps, tf.float32))
        np.testing.assert_array_equal(found, even_times(count, float(np.float32(fps))))
    times, draw = tf.constant(even_times(10, 25.0)), tf.constant(0.0, tf.float64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`short`"):
        in_graph.random_clip_at_rate_tensorflow(times, 4, 5.0, draw, short="error")
