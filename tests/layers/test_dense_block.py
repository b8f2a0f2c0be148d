"""The dense block, put together by hand from its own layers."""

import numpy as np
import pytest

from keras_t3d.layers import DenseBlock3D
from tests.battery import array, randomize


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("rematerialize", [False, True])
def test_every_layer_reads_all_before_it(rematerialize):
    x = features(2, 3, 4, 5, 4)
    block = DenseBlock3D(3, growth_rate=2, bottleneck_factor=3, rematerialize=rematerialize)
    block.build(x.shape)
    randomize(block)
    for training in (True, False):
        joined = x
        for bn1, conv1, bn2, conv2 in block.dense_layers:
            new = conv2(bn2(conv1(bn1(joined, training=training)), training=training))
            joined = np.concatenate([joined, array(new)], axis=-1)
        np.testing.assert_allclose(array(block(x, training=training)), joined, rtol=1e-5, atol=1e-5)
        # What the block reads comes first and unchanged.
        assert np.array_equal(array(block(x, training=training))[..., :4], x)


def test_dense_layers_add_their_growth():
    block = DenseBlock3D(3, growth_rate=5, bottleneck_factor=4)
    block.build((None, 4, 8, 8, 7))
    assert [conv.kernel.shape for conv in block.convs1] == [
        (1, 1, 1, channels, 20) for channels in (7, 12, 17)
    ]
    assert [conv.kernel.shape for conv in block.convs2] == [(3, 3, 3, 20, 5)] * 3
    assert [norm.gamma.shape[0] for norm in block.norms1] == [7, 12, 17]
    assert [norm.gamma.shape[0] for norm in block.norms2] == [20] * 3
    assert {norm.activation for norm in block.norms1 + block.norms2} == {"relu"}
    assert block.compute_output_shape((None, 4, 8, 8, 7)) == (None, 4, 8, 8, 22)


def test_weights_are_named_by_dense_layer():
    block = DenseBlock3D(2, growth_rate=2, name="block")
    block.build((None, 4, 8, 8, 4))
    assert {weight.path.split("/")[1] for weight in block.weights} == {
        f"layer{number}_{part}" for number in (1, 2) for part in ("bn1", "conv1", "bn2", "conv2")
    }


@pytest.mark.parametrize("rematerialize", [False, True])
def test_averages_move_once_a_step(rematerialize):
    x = features(2, 3, 4, 5, 4) + 1
    block = DenseBlock3D(2, growth_rate=2, rematerialize=rematerialize)
    block(x, training=True)
    mean = x.mean(axis=(0, 1, 2, 3))
    for norm in block.norms1:
        np.testing.assert_allclose(array(norm.moving_mean)[:4], 0.1 * mean, rtol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"num_layers": 0}, {"growth_rate": 0}, {"bottleneck_factor": 1.5}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"DenseBlock3D: `.*Received"):
        DenseBlock3D(**{"num_layers": 2, **wrong})


def test_inputs_that_are_no_clips_are_refused():
    with pytest.raises(ValueError, match="batch, time, height, width, channels"):
        DenseBlock3D(2)(features(2, 8, 8, 4))
