"""The stem, put together by hand from its own layers."""

import numpy as np
import pytest

from keras_t3d.layers import Stem3D
from tests.battery import array, randomize


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("middle_filters", [None, 5])
@pytest.mark.parametrize("pool_strides", [None, 2, (1, 2, 2)])
def test_convolution_bn_and_relu_then_the_pool(pool_strides, middle_filters, training):
    x = features(2, 4, 9, 8, 3)
    stem = Stem3D(4, (3, 5, 5), pool_strides=pool_strides, middle_filters=middle_filters)
    stem.build(x.shape)
    randomize(stem)
    expected = np.maximum(stem.bn(stem.conv(x, training=training), training=training), 0)
    expected = expected if pool_strides is None else array(stem.pool(expected))
    np.testing.assert_allclose(array(stem(x, training=training)), expected, rtol=1e-4, atol=1e-5)


def test_its_layers():
    stem = Stem3D(8, 7, (2, 2, 2), (1, 2, 2))
    assert (stem.conv.kernel_size, stem.conv.strides) == ((7, 7, 7), (2, 2, 2))
    assert (stem.pool.pool_size, stem.pool.strides) == ((3, 3, 3), (1, 2, 2))
    assert stem.bn.activation is None  # the ReLU comes after the pool
    assert stem.compute_output_shape((None, 16, 112, 112, 3)) == (None, 8, 28, 28, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": 0},
        {"kernel_size": (3, 3)},
        {"strides": 0},
        {"pool_strides": (2, 2)},
        {"middle_filters": 0},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"3D: `.*Received"):
        Stem3D(**wrong)
