"""The (2+1)D convolution, put together by hand from its own layers."""

import numpy as np
import pytest

from keras_t3d.layers import FactorizedConv3D
from tests.battery import array, randomize
from tests.layers.test_convolution import by_definition


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("strides", [1, 2, (1, 2, 2), (3, 1, 1)])
def test_space_then_bn_and_relu_then_time(strides):
    x = features(2, 5, 6, 7, 3)
    layer = FactorizedConv3D(4, 5, (3, 5, 3), strides)
    layer.build(x.shape)
    randomize(layer)
    time, *space = layer.time_conv.strides[0], *layer.space_conv.strides[1:]
    between = by_definition(x, array(layer.space_conv.kernel), (1, *space))
    scale = array(layer.bn.gamma) / np.sqrt(array(layer.bn.moving_variance) + 1e-5)
    between = (between - array(layer.bn.moving_mean)) * scale + array(layer.bn.beta)
    expected = by_definition(np.maximum(between, 0), array(layer.time_conv.kernel), (time, 1, 1))
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-4, atol=1e-4)


def test_shapes_of_the_kernels():
    layer = FactorizedConv3D(6, 10, (5, 3, 7), (2, 1, 2))
    layer.build((None, 8, 8, 8, 4))
    assert tuple(layer.space_conv.kernel.shape) == (1, 3, 7, 4, 10)
    assert tuple(layer.time_conv.kernel.shape) == (5, 1, 1, 10, 6)
    assert (layer.space_conv.strides, layer.time_conv.strides) == ((1, 1, 2), (2, 1, 1))
    assert layer.bn.activation == "relu"


@pytest.mark.parametrize(
    "wrong", [{"filters": 0}, {"middle_filters": 0}, {"kernel_size": (3, 3)}, {"strides": 0}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"FactorizedConv3D: `.*Received"):
        FactorizedConv3D(**{"filters": 4, "middle_filters": 4, **wrong})
