import json
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.clips import (
    ClipSpec,
    clip_frames,
    clip_frames_tensorflow,
    crop_offsets,
    crop_positions,
    resize_frames,
    resize_weights,
    resized_size,
    take_view,
    take_view_tensorflow,
    view_starts,
)
from keras_t3d.errors import InvalidArgumentError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class TestClipSpec:
    def test_config_survives_json(self):
        clip_spec = ClipSpec(
            num_frames=4, frame_stride=3, resize=40, crop=(32, 24), mean=(0.1, 0.2, 0)
        )
        assert ClipSpec.from_config(json.loads(json.dumps(clip_spec.get_config()))) == clip_spec

    def test_square_crop_becomes_one_number(self):
        assert ClipSpec(crop=(96, 96)).crop == 96
        assert ClipSpec(crop=112).crop_size == (112, 112)

    def test_crop_height_is_not_width(self):
        assert ClipSpec(resize=64, crop=(32, 48)).input_shape == (16, 32, 48, 3)

    def test_default_of_an_input_shape(self):
        assert ClipSpec.for_input_shape((16, 112, 112, 3)).resize == 128
        assert ClipSpec.for_input_shape((32, 224, 224, 3)).resize == 256

    @pytest.mark.parametrize(
        "wrong",
        [
            {"num_frames": 0},
            {"num_frames": 2.5},
            {"frame_stride": 0},
            {"resize": -1},
            {"crop": 200},
            {"crop": (1, 2, 3)},
            {"crop": "112"},
            {"mean": (114.7, 107.7, 99.4)},
            {"std": (0.2, 0.2, 0)},
            {"std": (1, 1)},
        ],
    )
    def test_invalid_fields_are_named(self, wrong):
        ((name, value),) = wrong.items()
        with pytest.raises(InvalidArgumentError, match=re.escape(repr(value))) as error:
            ClipSpec(**wrong)
        assert error.value.argument == name

    def test_unknown_fields_are_rejected(self):
        with pytest.raises(InvalidArgumentError, match="frames"):
            ClipSpec.from_config({"frames": 16})


class TestClipFrames:
    def test_centre(self):
        assert clip_frames(10, ClipSpec(num_frames=4, frame_stride=2)).tolist() == [1, 3, 5, 7]

    def test_short_video_loops_to_exactly_t_frames(self):
        clip_spec = ClipSpec(num_frames=4, frame_stride=2)
        assert clip_frames(3, clip_spec).tolist() == [0, 2, 1, 0]
        assert clip_frames(1, clip_spec).tolist() == [0, 0, 0, 0]

    def test_last_legal_start_ends_at_the_last_frame(self):
        clip_spec = ClipSpec(num_frames=4, frame_stride=2)
        assert clip_frames(10, clip_spec, start=3).tolist() == [3, 5, 7, 9]
        with pytest.raises(InvalidArgumentError, match=r"`start`.*4"):
            clip_frames(10, clip_spec, start=4)

    def test_no_frames(self):
        with pytest.raises(InvalidArgumentError, match=r"`num_video_frames`.*0"):
            clip_frames(0, ClipSpec())

    @given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 4))
    @settings(max_examples=40, deadline=None)
    def test_tensorflow_returns_the_same_frames(self, video, frames, stride):
        clip_spec = ClipSpec(num_frames=frames, frame_stride=stride)
        expected = clip_frames(video, clip_spec)
        assert clip_frames_tensorflow(video, clip_spec).numpy().tolist() == expected.tolist()


class TestViewStarts:
    def test_both_ends_are_reached(self):
        clip_spec = ClipSpec(num_frames=16, frame_stride=2)
        assert view_starts(100, clip_spec, 3) == [0, 35, 69]
        assert view_starts(100, clip_spec, 1) == [34]

    def test_short_video(self):
        assert view_starts(5, ClipSpec(num_frames=16), 2) == [0, 0]

    @given(st.integers(1, 200), st.integers(2, 12))
    def test_views_are_spread_evenly(self, video, views):
        clip_spec = ClipSpec(num_frames=8, frame_stride=2)
        starts = view_starts(video, clip_spec, views)
        assert (starts[0], starts[-1]) == (0, max(video - clip_spec.span, 0))
        gaps = np.diff(starts)
        assert gaps.max() - gaps.min() <= 1

    def test_zero_views(self):
        with pytest.raises(InvalidArgumentError, match=r"`num_views`.*0"):
            view_starts(10, ClipSpec(), 0)


class TestResize:
    @given(st.integers(1, 300), st.integers(1, 300))
    @settings(max_examples=60, deadline=None)
    def test_weights_of_each_pixel_add_up(self, size_in, size_out):
        weights = resize_weights(size_in, size_out)
        assert weights.shape == (size_out, size_in)
        assert (weights.sum(axis=1) == 2048).all()
        assert (weights >= 0).all()

    def test_some_rows_of_the_weights_are_those_of_all(self):
        weights = resize_weights(50, 31)
        assert np.array_equal(resize_weights(50, 31, 7, 12), weights[7:19])

    def test_a_frame_far_wider_than_high_takes_little_memory(self):
        spec = ClipSpec(num_frames=1, frame_stride=1, resize=128, crop=112)
        frame = noise(1, 20, 16_000, 3)  # all weights would be 6.5 GB
        assert np.array_equal(
            take_view_tensorflow(tf.constant(frame), spec), take_view(frame, spec)
        )
        narrower = frame[:, :, :400]
        whole = resize_frames(narrower, 128, 2560)
        assert np.array_equal(whole[:, 8:120, 1224:1336], take_view(narrower, spec))

    def test_same_size_changes_nothing(self):
        frames = noise(2, 17, 23, 3)
        assert np.array_equal(resize_frames(frames, 17, 23), frames)

    def test_halving_is_the_triangle_filter(self):
        # Output pixel 1 lies at 2.5: distances 1.5, .5, .5, 1.5 of a triangle of width 2.
        assert resize_weights(8, 4)[1].tolist() == [0, 256, 768, 768, 256, 0, 0, 0]

    def test_close_to_a_float_bilinear_resize_when_growing(self):
        frames = noise(1, 20, 24, 3)
        expected = tf.image.resize(frames, (41, 53)).numpy()
        assert np.abs(resize_frames(frames, 41, 53) - expected).max() <= 1.01

    def test_shrinking_does_not_alias(self):
        stripes = np.zeros((1, 64, 64, 3), np.uint8)
        stripes[:, :, ::2] = 255
        shrunk = resize_frames(stripes, 16, 16)[:, :, 1:-1]
        assert np.abs(shrunk.astype(int) - 127).max() <= 1

    @pytest.mark.parametrize(
        ("size", "expected"),
        [((240, 320), (128, 171)), ((1080, 64), (2160, 128)), ((9, 9), (128, 128))],
    )
    def test_short_side(self, size, expected):
        assert resized_size(*size, 128) == expected


class TestTakeView:
    def test_frames_and_crop(self):
        clip_spec = ClipSpec(num_frames=3, frame_stride=2, resize=8, crop=(4, 6))
        frames = noise(9, 8, 12, 3)
        view = take_view(frames, clip_spec, start=1, position=(0, 2))
        assert np.array_equal(view, frames[[1, 3, 5], :4, 6:12])
        centre = take_view(frames, clip_spec)
        assert np.array_equal(centre, frames[[2, 4, 6], 2:6, 3:9])

    @given(
        st.integers(1, 12),
        st.integers(4, 90),
        st.integers(4, 90),
        st.tuples(st.integers(0, 2), st.integers(0, 2)),
        st.integers(0, 5),
    )
    @settings(max_examples=25, deadline=None)
    def test_numpy_and_tensorflow_return_the_same_bytes(self, count, height, width, position, seed):
        clip_spec = ClipSpec(num_frames=4, frame_stride=2, resize=20, crop=(16, 18))
        frames = noise(count, height, width, 3, seed=seed)
        expected = take_view(frames, clip_spec, position=position)
        assert expected.shape == clip_spec.input_shape
        assert np.array_equal(take_view_tensorflow(frames, clip_spec, position=position), expected)

    def test_numpy_and_tensorflow_agree_on_large_frames_in_a_graph(self):
        clip_spec = ClipSpec(num_frames=2, frame_stride=1, resize=128, crop=112)
        frames = noise(2, 1080, 1920, 3)
        signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]
        in_graph = tf.function(
            lambda f: take_view_tensorflow(f, clip_spec), input_signature=signature
        )
        assert np.array_equal(in_graph(frames), take_view(frames, clip_spec))

    def test_resizing_first_returns_the_same_view(self):
        clip_spec = ClipSpec(num_frames=2, frame_stride=1, resize=30, crop=24)
        frames = noise(5, 70, 50, 3)
        resized = resize_frames(frames, *resized_size(70, 50, 30))
        assert np.array_equal(take_view(resized, clip_spec), take_view(frames, clip_spec))

    @pytest.mark.parametrize(
        "wrong", [np.zeros((4, 8, 8, 3), np.float32), np.zeros((4, 8, 8), np.uint8), [[1, 2]]]
    )
    def test_other_arrays_are_rejected(self, wrong):
        with pytest.raises(InvalidArgumentError, match="`frames`"):
            take_view(wrong, ClipSpec())


class TestCropPositions:
    def test_three_lie_along_the_long_side(self):
        assert crop_positions(3, 100, 200) == [(1, 0), (1, 1), (1, 2)]
        assert crop_positions(3, 200, 100) == [(0, 1), (1, 1), (2, 1)]

    def test_five_reach_the_corners(self):
        clip_spec = ClipSpec(resize=10, crop=4)
        offsets = [crop_offsets(10, 20, clip_spec, at) for at in crop_positions(5, 10, 20)]
        assert offsets == [(3, 8), (0, 0), (0, 16), (6, 0), (6, 16)]

    def test_other_numbers_are_rejected(self):
        with pytest.raises(InvalidArgumentError, match=r"`num_crops`.*2"):
            crop_positions(2, 10, 10)
