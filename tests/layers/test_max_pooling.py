"""ClipMaxPooling3D against the definition of a max pool."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.layers import ClipMaxPooling3D
from tests.battery import array


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32") - 3


def by_definition(x, size, strides, dtype="float32"):
    """The largest value of each window, of those that lie inside the clip."""
    counts = [(side - 1) // stride + 1 for side, stride in zip(x.shape[1:4], strides, strict=True)]
    out = np.zeros((len(x), *counts, x.shape[-1]), dtype)
    for place in np.ndindex(*counts):
        starts = [
            index * step - wide // 2 for index, step, wide in zip(place, strides, size, strict=True)
        ]
        window = [slice(max(i, 0), i + wide) for i, wide in zip(starts, size, strict=True)]
        out[:, *place] = x[:, *window].max(axis=(1, 2, 3))
    return out


three = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
odd = st.sampled_from([1, 3, 5])


@settings(max_examples=30, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(odd, odd, odd),
    strides=three,
)
def test_the_definition(sides, size, strides):
    """Values below zero too: what pads is less than any of them."""
    x = features(2, *sides, 3)
    layer = ClipMaxPooling3D(size, strides)
    expected = by_definition(x, size, strides)
    assert tuple(layer.compute_output_shape(x.shape)) == expected.shape
    assert np.array_equal(array(layer(x)), expected)


def test_double_precision_is_exact():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6, 3)) - 3
    pooled = tf.function(ClipMaxPooling3D((3, 3, 5), (2, 1, 2), dtype="float64"))(tf.constant(x))
    assert pooled.dtype == "float64"
    assert np.array_equal(pooled, by_definition(x, (3, 3, 5), (2, 1, 2), "float64"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_goes_to_the_largest_values(dtype):
    x = np.random.default_rng(0).permutation(4 * 5 * 6).reshape(1, 4, 5, 6, 1).astype(dtype)
    clips = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(clips)
        loss = tf.reduce_sum(ClipMaxPooling3D(3, (1, 2, 2), dtype=dtype)(clips))
    expected = np.zeros_like(x)
    for largest in by_definition(x, (3, 3, 3), (1, 2, 2)).ravel():
        expected[x == largest] += 1
    assert np.array_equal(array(tape.gradient(loss, clips)), expected)


@pytest.mark.parametrize("wrong", [{"pool_size": 2}, {"pool_size": (3, 3)}, {"strides": 0}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"ClipMaxPooling3D: `.*Received"):
        ClipMaxPooling3D(**wrong)
