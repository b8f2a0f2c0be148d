import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d import ClipSpec
from keras_t3d.clips import clip_frames
from keras_t3d.data.clips.sampling import (
    random_clip,
    random_clip_tensorflow,
    segment_clip,
    segment_clip_tensorflow,
)
from keras_t3d.data.clips.views import view_frames

LENGTH = st.integers(1, 200)
SPEC = st.builds(ClipSpec, num_frames=st.integers(1, 12), frame_stride=st.integers(1, 5))
DRAW = st.floats(0, 1, exclude_max=True)
SHORT = st.sampled_from(["loop", "pad"])
FOUR = ClipSpec(num_frames=4, frame_stride=2)


class TestRandomClip:
    @pytest.mark.parametrize(
        ("draw", "expected"),
        [(0.0, [0, 2, 4, 6]), (0.5, [2, 4, 6, 8]), (0.999, [3, 5, 7, 9])],
    )
    def test_exact_frames(self, draw, expected):
        assert random_clip(10, FOUR, draw).tolist() == expected

    @pytest.mark.parametrize(("short", "expected"), [("loop", [0, 2, 4, 1]), ("pad", [0, 2, 4, 4])])
    def test_short_videos(self, short, expected):
        assert random_clip(5, FOUR, 0.9, short=short).tolist() == expected

    def test_error_accepts_videos_that_are_long_enough(self):
        assert random_clip(7, FOUR, 0.9, short="error").tolist() == [0, 2, 4, 6]
        with pytest.raises(ValueError, match="6 frames"):
            random_clip(6, FOUR, 0.9, short="error")

    @given(LENGTH, SPEC, DRAW, SHORT)
    @settings(deadline=None)
    def test_every_index_is_legal(self, length, spec, draw, short):
        chosen = random_clip(length, spec, draw, short=short)
        assert chosen.shape == (spec.num_frames,)
        assert ((chosen >= 0) & (chosen < length)).all()

    @given(LENGTH, SPEC, DRAW)
    @settings(deadline=None)
    def test_the_frames_are_those_of_clip_frames(self, length, spec, draw):
        chosen = random_clip(length, spec, draw)
        assert chosen.tolist() == clip_frames(length, spec, int(chosen[0])).tolist()

    @given(st.integers(7, 40))
    @settings(deadline=None)
    def test_every_legal_start_is_reached_the_last_one_too(self, length):
        starts = length - FOUR.span + 1
        reached = {
            int(random_clip(length, FOUR, (start + 0.5) / starts)[0]) for start in range(starts)
        }
        assert reached == set(range(starts))
        assert random_clip(length, FOUR, np.nextafter(1, 0))[-1] == length - 1

    def test_a_video_without_frames_is_refused(self):
        with pytest.raises(ValueError, match="`num_video_frames`"):
            random_clip(0, FOUR, 0.0)

    @given(LENGTH, SPEC, DRAW, SHORT)
    @settings(deadline=None, max_examples=40)
    def test_tensorflow_gives_the_same(self, length, spec, draw, short):
        draw_tensor = tf.constant(draw, tf.float64)
        tensor = random_clip_tensorflow(length, spec, draw_tensor, short=short)
        expected = random_clip(length, spec, draw, short=short)
        assert tensor.numpy().tolist() == expected.tolist()

    def test_tensorflow_refuses_short_videos_too(self):
        draw = tf.constant(0.9, tf.float64)
        assert random_clip_tensorflow(7, FOUR, draw, short="error").numpy()[-1] == 6
        with pytest.raises(tf.errors.InvalidArgumentError, match="`short`"):
            random_clip_tensorflow(6, FOUR, draw, short="error")


class TestSegmentClip:
    def test_middles(self):
        assert segment_clip(12, 4, [0.5] * 4).tolist() == [1, 4, 7, 10]
        assert segment_clip(3, 3, [0.5] * 3).tolist() == [0, 1, 2]

    def test_a_video_of_fewer_frames_than_segments_repeats_them_in_order(self):
        assert segment_clip(2, 4, [0.5] * 4).tolist() == [0, 0, 1, 1]
        with pytest.raises(ValueError, match="2 frames"):
            segment_clip(2, 4, [0.5] * 4, short="error")

    @given(LENGTH, st.integers(1, 12), st.data())
    @settings(deadline=None)
    def test_one_frame_of_each_segment(self, length, num_frames, data):
        numbers = data.draw(st.lists(DRAW, min_size=num_frames, max_size=num_frames))
        chosen = segment_clip(length, num_frames, numbers)
        bounds = [index * length // num_frames for index in range(num_frames + 1)]
        for index, frame in enumerate(chosen):
            assert bounds[index] <= frame <= max(bounds[index], bounds[index + 1] - 1) < length
        tensor = segment_clip_tensorflow(length, num_frames, tf.constant(numbers, tf.float64))
        assert tensor.numpy().tolist() == chosen.tolist()

    def test_every_frame_is_reached(self):
        reached = {int(f) for d in np.linspace(0, 0.999, 20) for f in segment_clip(11, 3, [d] * 3)}
        assert reached == set(range(11))

    def test_tensorflow_refuses_short_videos_too(self):
        numbers = tf.zeros(4, tf.float64)
        with pytest.raises(tf.errors.InvalidArgumentError, match="`short`"):
            segment_clip_tensorflow(2, 4, numbers, short="error")


class TestViews:
    def test_one_is_the_middle(self):
        assert view_frames(10, FOUR, 1).tolist() == [[1, 3, 5, 7]]
        assert view_frames(3, FOUR, 1).tolist() == [[0, 2, 1, 0]]

    def test_several_reach_both_ends(self):
        assert view_frames(10, FOUR, 3).tolist() == [[0, 2, 4, 6], [2, 4, 6, 8], [3, 5, 7, 9]]
        with pytest.raises(ValueError, match="num_views"):
            view_frames(10, FOUR, 0)

    def test_full_cover(self):
        spec = ClipSpec(num_frames=2, frame_stride=2)
        assert view_frames(6, spec, None).tolist() == [[0, 2], [1, 3], [2, 4], [3, 5]]
        assert view_frames(3, spec, None).tolist() == [[0, 2], [1, 0]]

    @given(LENGTH, SPEC)
    @settings(deadline=None)
    def test_full_cover_leaves_no_frame_out(self, length, spec):
        clips = view_frames(length, spec, None)
        assert clips.shape[1] == spec.num_frames
        assert set(clips.ravel().tolist()) == set(range(length))
        stretch = spec.num_frames * spec.frame_stride
        assert len(clips) <= -(-length // stretch) * spec.frame_stride
