"""Which frames are in a window, held in memory, and converted to pixels."""

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import WindowOptions
from keras_t3d.inference.sliding_window import SlidingWindow, window_starts


def numbered(count, converted, times=None):
    """Frames whose pixels encode their index; `converted` lists those that were read."""

    def pixels(index):
        converted.append(index)
        return np.full((5, 6, 3), (index % 100, index // 100, 7), np.uint8)

    times = np.arange(count + 1) / 10 if times is None else times
    return [TimedFrame(times[i], times[i + 1], lambda index=i: pixels(index)) for i in range(count)]


def numbers(clip):
    return (clip[:, 0, 0, 0].astype(int) + 100 * clip[:, 0, 0, 1].astype(int)).tolist()


def slide(frames, sliding):
    windows, most_held = [], 0
    for frame in frames:
        windows += sliding.push(frame)
        most_held = max(most_held, sliding.num_held)
    last = sliding.finish()
    return windows + ([last] if last else []), most_held


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
)
def test_windows_are_views_of_the_video(count, num_frames, stride, hop, num_crops):
    spec = ClipSpec(num_frames=num_frames, frame_stride=stride, resize=4, crop=(4, 3))
    converted = []
    frames = numbered(count, converted)
    windows, most_held = slide(
        frames, SlidingWindow(spec, WindowOptions(hop_frames=hop, num_crops=num_crops))
    )
    grid = np.gcd(hop, stride)
    starts = [start for start in range(0, count, hop) if start + spec.span <= count]
    last = max(count - spec.span, 0) // grid * grid
    assert [window.first_frame for window in windows] == starts + (
        [last] if last not in starts else []
    )
    # Every frame at most once, and at most those of a window held.
    assert len(converted) == len(set(converted))
    assert most_held <= spec.span
    video = np.stack([frame.convert() for frame in frames])
    for window in windows:
        assert window.clips.shape == (num_crops, *spec.input_shape)
        expected = take_view(video, spec, window.first_frame)
        np.testing.assert_array_equal(window.clips[num_crops // 2], expected)
        end = min(window.first_frame + spec.span, count)
        assert (window.start, window.end) == (window.first_frame / 10, pytest.approx(end / 10))
    # Nothing but the last frames, fewer than the stride, is left out where windows overlap.
    if hop <= spec.span and count >= spec.span:
        assert windows[-1].first_frame + spec.span > count - stride


def test_frames_that_no_clip_reads_are_not_converted():
    spec = ClipSpec(num_frames=4, frame_stride=3, resize=4, crop=4)
    converted = []
    slide(numbered(100, converted), SlidingWindow(spec, WindowOptions(hop_frames=6)))
    # The first window's, should the video end before it is full; then every third.
    assert sorted(converted) == [*range(10), *range(12, 100, 3)]


def test_windows_with_gaps_and_the_last_ends_with_the_video():
    spec = ClipSpec(num_frames=4, frame_stride=1, resize=4, crop=4)
    windows, most_held = slide(numbered(100, []), SlidingWindow(spec, WindowOptions(hop_frames=40)))
    assert [window.first_frame for window in windows] == [0, 40, 80, 96]
    assert most_held == 4


@pytest.mark.parametrize("hop", [1, 4, 40])
def test_decoded_frames_are_freed(hop):
    """Only resized frames are held, also between windows with gaps."""
    spec = ClipSpec(num_frames=4, frame_stride=1, resize=4, crop=4)
    sliding = SlidingWindow(spec, WindowOptions(hop_frames=hop))
    large = []
    for index in range(60):
        pixels = np.full((50, 60, 3), index, np.uint8)
        large.append(weakref.ref(pixels))
        sliding.push(TimedFrame(index / 10, (index + 1) / 10, pixels.view))
        del pixels  # counted references alone let it go: nothing holds it in a circle
        assert large[-1]() is None


def test_hops_in_seconds_use_timestamps():
    spec = ClipSpec(num_frames=2, frame_stride=2, resize=4, crop=4)
    # Ten frames a second, then a pause of a second, then two frames a second.
    times = [*np.arange(10) / 10, *(2 + np.arange(11) / 2)]
    windows, _ = slide(numbered(20, [], times), SlidingWindow(spec, WindowOptions(hop=0.5)))
    # At 0 s; at 0.6, the first even frame after 0.5; at 2.0, 3.0..., every even frame.
    assert [window.first_frame for window in windows] == [0, 6, 10, 12, 14, 16]
    assert [window.start for window in windows] == pytest.approx([0, 0.6, 2, 3, 4, 5])
    assert windows[1].end == pytest.approx(0.9)
    assert windows[2].end == pytest.approx(3.5)


@pytest.mark.parametrize(("seconds", "begins"), [(5e-324, 20), (1e-320, 20), (1e308, 1)])
def test_extreme_hops(seconds, begins):
    spec = ClipSpec(num_frames=2, frame_stride=1, resize=4, crop=4)
    _, is_start = window_starts(spec, WindowOptions(hop=seconds))
    assert sum(is_start(index, index / 10) for index in range(20)) == begins


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=20, max_size=60), st.integers(1, 300))
def test_hops_in_seconds_start_one_window_each(lengths, hundredths):
    times, seconds = np.cumsum([0, *lengths]) / 100, hundredths / 100
    spec = ClipSpec(num_frames=1, frame_stride=1, resize=4, crop=4)
    _, is_start = window_starts(spec, WindowOptions(hop=seconds))
    begun = [time for index, time in enumerate(times) if is_start(index, time)]
    slots = [int((time + 1e-4) // seconds) for time in begun]
    assert len(slots) == len(set(slots))  # at most one window a slot
    assert set(slots) == {int((time + 1e-4) // seconds) for time in times}  # and one in each


def test_no_frames_give_no_window():
    spec = ClipSpec(num_frames=4, frame_stride=2, resize=4, crop=4)
    assert SlidingWindow(spec, WindowOptions(hop_frames=4)).finish() is None


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"hop_frames": 3, "hop": 0.5}, "hop"),
        ({"hop_frames": 0}, "hop_frames"),
        ({"hop_frames": 1.5}, "hop_frames"),
        ({"hop": 0.0}, "hop"),
        ({"hop": float("nan")}, "hop"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_options_out_of_range_are_rejected(options, argument):
    with pytest.raises(InvalidArgumentError) as error:
        WindowOptions(**options)
    assert error.value.argument == argument


def test_the_default_hop_is_half_a_window():
    for num_frames, stride, hop in ((16, 2, 16), (1, 3, 3)):
        clip_spec = ClipSpec(num_frames=num_frames, frame_stride=stride)
        step, is_start = window_starts(clip_spec, WindowOptions())
        assert [n for n in range(0, 40, step) if is_start(n, 0.0)] == list(range(0, 40, hop))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 0.5), min_size=1, max_size=40),
    st.integers(1, 4),
    st.floats(1.0, 40.0),
    st.integers(1, 6),
)
def test_windows_at_a_rate_are_those_of_the_video_at_that_rate(gaps, num_frames, fps, hop):
    times = np.cumsum([0.0, *gaps])
    middles = (times[1:] + times[:-1]) / 2 - 1e-4  # where the next frame becomes the nearest
    frames = numbered(len(gaps), [], times)
    spec = ClipSpec(num_frames=num_frames, fps=fps, resize=4, crop=(4, 3))
    windows, _ = slide(frames, SlidingWindow(spec, WindowOptions(hop_frames=hop)))
    wanted = np.arange(0, 100 * fps) / fps
    nearest = np.searchsorted(middles, wanted[wanted < middles[-1]], side="right")
    for window in windows:
        indices = [nearest[(window.first_frame + n) % len(nearest)] for n in range(num_frames)]
        assert numbers(window.clips[0]) == indices
        np.testing.assert_allclose(window.start, window.first_frame / fps, atol=1e-9)
