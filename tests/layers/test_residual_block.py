"""The residual blocks, put together by hand from their own layers."""

import numpy as np
import pytest

from keras_t3d.layers import BasicBlock3D, BottleneckBlock3D
from tests.battery import array, randomize


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(block, shape):
    block.build(shape)
    return randomize(block)


def relu(x):
    return np.maximum(x, 0)


def residual_of(block, x):
    """Convolutions and normalisations one after the other, the last without ReLU."""
    for conv, norm in zip(block.convs, block.norms, strict=True):
        x = norm(conv(x))
    return array(x)


def close(actual, expected):
    np.testing.assert_allclose(array(actual), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shortcut", ["projection", "zero_padding"])
@pytest.mark.parametrize("make", [BasicBlock3D, BottleneckBlock3D])
def test_where_nothing_changes_the_shortcut_is_the_identity(make, shortcut):
    x = features(2, 4, 5, 6, 8)
    options = {"filters": 8} if make is BasicBlock3D else {"filters": 2, "expansion": 4}
    block = built(make(**options, shortcut=shortcut), x.shape)
    assert block.is_identity
    assert not [weight for weight in block.weights if "shortcut" in weight.path]
    close(block(x), relu(residual_of(block, x) + x))


@pytest.mark.parametrize(
    ("channels", "filters", "strides"), [(4, 4, 2), (4, 6, 1), (4, 6, (1, 2, 2)), (6, 4, 1)]
)
def test_projection(channels, filters, strides):
    """Shortcut B: a strided 1x1x1 convolution and a batch normalisation without ReLU."""
    x = features(2, 4, 5, 6, channels)
    block = built(BasicBlock3D(filters, strides), x.shape)
    time, height, width = block.strides
    projected = x[:, ::time, ::height, ::width] @ array(block.shortcut_conv.kernel)[0, 0, 0]
    shortcut = array(block.shortcut_bn(projected))
    assert shortcut.min() < 0
    close(block(x), relu(residual_of(block, x) + shortcut))


@pytest.mark.parametrize(("filters", "strides"), [(4, 2), (7, 1), (7, (2, 1, 2))])
def test_zero_padding(filters, strides):
    """Shortcut A: every stride-th value, and zeros in the new channels; no weights."""
    x = features(2, 4, 5, 6, 4)
    block = built(BasicBlock3D(filters, strides, shortcut="zero_padding"), x.shape)
    assert not [weight for weight in block.weights if "shortcut" in weight.path]
    time, height, width = block.strides
    expected = residual_of(block, x)
    expected[..., :4] += x[:, ::time, ::height, ::width]
    close(block(x), relu(expected))


def test_the_order_of_the_layers():
    basic, bottleneck = BasicBlock3D(6, (1, 2, 2)), BottleneckBlock3D(6, 2, 3, groups=2)
    assert [conv.kernel_size for conv in basic.convs] == [(3, 3, 3)] * 2
    assert [conv.strides for conv in basic.convs] == [(1, 2, 2), (1, 1, 1)]
    assert [norm.activation for norm in basic.norms] == ["relu", None]
    assert [conv.kernel_size for conv in bottleneck.convs] == [(1,) * 3, (3,) * 3, (1,) * 3]
    assert [conv.strides for conv in bottleneck.convs] == [(1,) * 3, (2,) * 3, (1,) * 3]
    assert [conv.filters for conv in bottleneck.convs] == [6, 6, 18]
    assert [conv.groups for conv in bottleneck.convs] == [1, 2, 1]
    assert [norm.activation for norm in bottleneck.norms] == ["relu", "relu", None]
    assert not any(conv.use_bias for conv in basic.convs + bottleneck.convs)


def test_2d_convolutions_see_one_frame():
    x = features(1, 4, 5, 5, 3)
    block = built(BasicBlock3D(6, (1, 2, 2), convolution="2d"), x.shape)
    assert [conv.kernel_size for conv in block.convs] == [(1, 3, 3)] * 2
    frames = [array(block(x[:, index : index + 1])) for index in range(4)]
    close(block(x), np.concatenate(frames, axis=1))


@pytest.mark.parametrize(
    ("channels", "filters", "middle"), [(64, 64, 144), (64, 128, 230), (128, 128, 288)]
)
def test_2plus1d_middle_filters_are_torchvisions(channels, filters, middle):
    """As many as give both convolutions together no more parameters than a 3x3x3 one."""
    block = BasicBlock3D(filters, convolution="2plus1d")
    block.build((None, 2, 4, 4, channels))
    assert block.convs[0].middle_filters == middle
    factorized = middle * 9 * channels + 3 * filters * middle
    assert factorized <= 27 * channels * filters < factorized + 9 * channels + 3 * filters
    # torchvision counts the second convolution's from the first one's input too.
    assert block.convs[1].middle_filters == middle


def test_2plus1d_strides_once():
    block = BasicBlock3D(6, 2, convolution="2plus1d")
    block.build((None, 4, 6, 6, 4))
    assert [conv.strides for conv in block.convs] == [(2, 2, 2), (1, 1, 1)]


# STC.


@pytest.mark.parametrize("make", [BasicBlock3D, BottleneckBlock3D])
@pytest.mark.parametrize("strides", [1, 2])
def test_stc_in_the_residual_stands_before_the_addition(make, strides):
    x = features(2, 4, 5, 6, 3)
    options = {"stc": "residual", "stc_options": {"reduction": 2, "combine": "sum"}}
    block = built(make(4, strides, **options), x.shape)
    shortcut = array(block.shortcut_bn(block.shortcut_conv(x)))
    residual = array(block.correlation(residual_of(block, x)))
    close(block(x), relu(residual + shortcut))


@pytest.mark.parametrize("make", [BasicBlock3D, BottleneckBlock3D])
def test_stc_at_the_output_stands_after_the_last_relu(make):
    x = features(2, 4, 5, 6, 3)
    block = built(make(4, 2, stc="output", stc_options={"reduction": 2}), x.shape)
    plain = relu(residual_of(block, x) + array(block.shortcut_bn(block.shortcut_conv(x))))
    close(block(x), array(block.correlation(plain)))


def test_stc_reads_the_blocks_output_shape_and_options():
    block = BottleneckBlock3D(
        8, 2, stc="residual", stc_options={"temporal_bins": 2, "reduction": 4}
    )
    block.build((None, 6, 8, 8, 8))
    assert block.correlation.spatial_squeeze_kernel.shape == (2 * 32, 16)
    assert (block.correlation.reduction, block.correlation.temporal_bins) == (4, 2)


def test_stc_of_an_unknown_clip_length_is_refused():
    with pytest.raises(ValueError, match="known"):
        BasicBlock3D(4, stc="residual").build((None, None, 8, 8, 4))


# Training.


@pytest.mark.parametrize("rematerialize", [False, True])
@pytest.mark.parametrize("make", [BasicBlock3D, BottleneckBlock3D])
def test_averages_move_once_a_step(make, rematerialize):
    """What is computed twice must not be averaged twice."""
    x = features(2, 4, 5, 6, 3) + 1
    block = built(make(4, 2, rematerialize=rematerialize), x.shape)
    before = array(block.norms[0].moving_mean)
    batch = array(block.convs[0](x)).mean(axis=(0, 1, 2, 3))
    block(x, training=True)
    close(block.norms[0].moving_mean, 0.9 * before + 0.1 * batch)


@pytest.mark.parametrize("make", [BasicBlock3D, BottleneckBlock3D])
@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": 0},
        {"strides": (2, 2)},
        {"shortcut": "identity"},
        {"stc": "between_stages"},
        {"stc": "residual", "stc_options": {"reduction": 0}},
    ],
)
def test_wrong_arguments_are_refused(make, wrong):
    with pytest.raises(ValueError, match=r"`(filters|strides|shortcut|stc|reduction)`.*Received"):
        make(**{"filters": 4, **wrong})


def test_wrong_arguments_of_one_block_are_refused():
    with pytest.raises(ValueError, match=r"BasicBlock3D: `convolution`.*Received: '1d'"):
        BasicBlock3D(4, convolution="1d")
    with pytest.raises(ValueError, match=r"BottleneckBlock3D: `expansion`.*Received: 0"):
        BottleneckBlock3D(4, expansion=0)
    with pytest.raises(ValueError, match=r"`groups`.*groups=3"):
        BottleneckBlock3D(4, groups=3)


def test_zero_padding_takes_no_channels_away():
    with pytest.raises(ValueError, match=r"shortcut='projection'.*8.*4"):
        BasicBlock3D(4, shortcut="zero_padding").build((None, 4, 8, 8, 8))
