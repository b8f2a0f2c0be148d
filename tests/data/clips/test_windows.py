import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d import ClipSpec
from keras_t3d.data import Augmentation
from keras_t3d.data.clips.clip_draws import draw_clips
from keras_t3d.data.clips.order import CLIPS, draws
from keras_t3d.data.clips.windows import place_window, place_window_tensorflow

CROPS = ("random_resized", "corners", "random")
SPEC = ClipSpec(num_frames=4, resize=40, crop=32)


def windows(count, height, width, augmentation, spec=SPEC):
    drawn = draw_clips(0, 0, np.arange(count), 4, augmentation).window
    return np.array([place_window(height, width, spec, augmentation, one) for one in drawn])


@pytest.mark.parametrize("crop", CROPS)
def test_windows_lie_inside_and_reach_the_borders(crop):
    top, left, height, width = windows(300, 40, 60, Augmentation(crop=crop)).T
    assert min(top.min(), left.min()) == 0
    assert (top + height).max() == 40
    assert (left + width).max() == 60
    assert min(height.min(), width.min()) >= 16


def test_random_windows_have_the_test_scale_and_all_places():
    found = set(map(tuple, windows(900, 40, 40, Augmentation(crop="random")).tolist()))
    assert found == {(top, left, 32, 32) for top in range(9) for left in range(9)}


def test_corner_windows_are_of_the_scales_in_the_corners_and_the_centre():
    found = windows(500, 40, 40, Augmentation(crop="corners", scales=(1.0, 0.5))).tolist()
    assert set(map(tuple, found)) == {
        (0, 0, 40, 40), (0, 0, 20, 20), (0, 20, 20, 20), (20, 0, 20, 20), (20, 20, 20, 20),
        (10, 10, 20, 20),
    }  # fmt: skip


def test_random_resized_windows_have_area_and_shape_in_range():
    _, _, height, width = windows(500, 400, 400, Augmentation(min_area=0.25)).T
    area, stretch = height * width / 400**2, height / width
    assert 0.24 < area.min() < 0.3
    assert area.max() <= 1
    assert 0.7 < stretch.min() < 0.9
    assert 1.1 < stretch.max() < 1.4


@given(
    st.integers(8, 600),
    st.integers(8, 600),
    st.sampled_from(CROPS),
    st.integers(0, 10**6),
    st.sampled_from([112, (90, 112), (64, 32)]),
)
@settings(deadline=None, max_examples=150)
def test_tensorflow_gives_the_same_integers(height, width, crop, position, shape):
    spec, augmentation = ClipSpec(resize=128, crop=shape), Augmentation(crop=crop)
    drawn = draw_clips(1, 2, np.array([position]), 4, augmentation).window[0]
    expected = place_window(height, width, spec, augmentation, drawn)
    tensor = place_window_tensorflow(
        tf.constant(height, tf.int64), tf.constant(width, tf.int64), spec, augmentation, drawn
    )
    assert tensor.dtype == tf.int32
    assert tensor.numpy().tolist() == expected.tolist()
    top, left, window_height, window_width = expected
    assert 0 <= top <= height - window_height
    assert 0 <= left <= width - window_width
    assert min(window_height, window_width) >= 1


def test_half_of_the_clips_are_mirrored():
    def mirrored(flip):
        return draw_clips(0, 0, np.arange(1000), 4, Augmentation(flip=flip)).mirrored

    assert np.array_equal(mirrored(True), draws(0, 0, CLIPS, range(1000), 8)[:, 5] < 0.5)
    assert abs(mirrored(True).sum() - 500) < 5 * np.sqrt(250)
    assert not mirrored(False).any()
