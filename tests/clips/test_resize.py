"""The bytes of the resize: those of its definition, and of the algorithm that it replaced."""

import pathlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.clips import ClipSpec, resize_frames, resize_weights, take_view
from keras_t3d.clips.resize import columns_of_crop, resize_and_crop

sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import view_row_by_row

SIDES = st.integers(1, 90)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def resized_by_definition(frames, height, width):
    for axis, size in (1, height), (2, width):
        weights = resize_weights(frames.shape[axis], size)
        sums = np.tensordot(weights, frames.astype(np.int64), (1, axis))
        frames = np.moveaxis((sums + 1024) // 2048, 0, axis).astype(np.uint8)
    return frames


@given(st.integers(0, 5), SIDES, SIDES, SIDES, SIDES, st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_frames_have_the_same_bytes_as_row_by_row(count, height, width, tall, wide, seed):
    frames = noise(count, height, width, 3, seed=seed)
    resized = resize_frames(frames, tall, wide)
    assert np.array_equal(resized, view_row_by_row.resize_frames(frames, tall, wide))
    assert np.array_equal(resized, resized_by_definition(frames, tall, wide))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_views_have_the_same_bytes_as_row_by_row(data):
    resize = data.draw(st.integers(1, 40))
    crop = data.draw(st.tuples(st.integers(1, resize), st.integers(1, resize)))
    num_frames, stride = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 3)))
    spec = ClipSpec(num_frames=num_frames, frame_stride=stride, resize=resize, crop=crop)
    shape = data.draw(st.tuples(st.integers(1, 15), SIDES, SIDES))
    frames = noise(*shape, 3, seed=data.draw(st.integers(0, 5)))
    position = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    expected = view_row_by_row.take_view(frames, spec, position=position)
    assert np.array_equal(take_view(frames, spec, position=position), expected)


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_one_colour_stays_the_same(value):
    frames = np.full((1, 50, 70, 3), value, np.uint8)
    assert (resize_frames(frames, 17, 93) == value).all()


def test_pixels_at_the_ends_of_the_range_neither_wrap_nor_saturate_early():
    frames = np.where(noise(4, 61, 47, 3) < 128, 0, 255).astype(np.uint8)
    assert np.array_equal(resize_frames(frames, 20, 90), resized_by_definition(frames, 20, 90))


def test_more_frames_than_are_resized_together():
    frames = noise(40, 60, 80, 3)
    one_by_one = [resize_frames(frame[None], 128, 171)[0] for frame in frames]
    assert np.array_equal(resize_frames(frames, 128, 171), one_by_one)


@pytest.mark.parametrize(("height", "width"), [(3, 2500), (2500, 3)])
def test_more_pixels_than_weights_are_held_of(height, width):
    frames = noise(1, height, width, 3)
    size = (2 * height, 2 * width)
    whole = resized_by_definition(frames, *size)
    assert np.array_equal(resize_frames(frames, *size), whole)
    part = resize_and_crop(frames, size, (1, 1), (size[0] - 1, size[1] - 1))
    assert np.array_equal(part, whole[:, 1:, 1:])


def test_the_order_of_frames_in_memory_changes_nothing():
    frames = noise(7, 40, 30, 3)
    turned = np.ascontiguousarray(frames.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)[::2, ::-1]
    expected = resize_frames(np.ascontiguousarray(turned), 25, 21)
    assert np.array_equal(resize_frames(turned, 25, 21), expected)


def test_the_result_shares_no_memory():
    frames = noise(2, 16, 16, 3)
    spec = ClipSpec(num_frames=2, frame_stride=1, resize=16, crop=16)
    assert not np.shares_memory(take_view(frames, spec), frames)
    assert not np.shares_memory(resize_frames(frames, 16, 16), frames)


@pytest.mark.parametrize("size", [(30, 60), (48, 96), (70, 140)])
def test_columns_of_a_crop_suffice(size):
    frames, corner, crop = noise(3, 48, 96, 3), (5, 17), (20, 22)
    first, end = columns_of_crop(96, size, corner, crop)
    assert end - first < 96
    found = resize_and_crop(frames[:, :, first:end], size, corner, crop, width=96)
    np.testing.assert_array_equal(found, resize_and_crop(frames, size, corner, crop))
