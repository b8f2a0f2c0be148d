"""The STC block against its equations in NumPy, and the sizes it gives a network."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d import models
from keras_t3d.layers import SpatioTemporalChannelCorrelation
from tests.battery import array, randomize

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "linear": lambda x: x,
}


def features(*shape):
    return np.random.default_rng(0).normal(0.5, 1, shape).astype("float32")


def built(shape, **options):
    layer = SpatioTemporalChannelCorrelation(**options)
    layer.build(shape)
    return randomize(layer)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, x, f, combine, temporal_bins=None):
    """The equations of the paper, one clip at a time."""
    weights = {weight.path.split("/")[-1]: array(weight) for weight in layer.weights}

    def scale(branch, z):
        squeezed = z @ weights[f"{branch}_squeeze_kernel"] + weights.get(
            f"{branch}_squeeze_bias", 0
        )
        excited = f(squeezed) @ weights[f"{branch}_excite_kernel"]
        return sigmoid(excited + weights.get(f"{branch}_excite_bias", 0))

    out = []
    for clip in x.astype("float64"):
        temporal = scale("temporal", clip.mean(axis=(0, 1, 2)))
        frames = clip.mean(axis=(1, 2))  # (T, C)
        if temporal_bins is not None:
            frames = adaptive_average(frames, temporal_bins)
        spatial = scale("spatial", frames.reshape(-1))
        out.append(combine(clip * temporal, clip * spatial))
    return np.stack(out)


def adaptive_average(frames, bins):
    """`torch.nn.AdaptiveAvgPool1d`: from floor(i T / k) up to ceil((i + 1) T / k)."""
    count = len(frames)
    edges = [
        (int(np.floor(i * count / bins)), int(np.ceil((i + 1) * count / bins))) for i in range(bins)
    ]
    return np.stack([frames[first:last].mean(axis=0) for first, last in edges])


COMBINE = {
    "average": lambda a, b: (a + b) / 2,
    "sum": lambda a, b: a + b,
    "maximum": np.maximum,
}


@pytest.mark.parametrize("temporal_bins", [None, 2])
def test_causal_factors_are_those_of_a_clip_of_the_mean_so_far(temporal_bins):
    x = features(2, 3, 4, 5, 6)
    layer = built(x.shape, reduction=2, temporal_bins=temporal_bins, use_bias=True, causal=True)
    found = array(layer(x))
    for frame in range(3):
        mean = x[:, : frame + 1].mean(axis=(1, 2, 3), keepdims=True)
        still = by_hand(
            layer, mean.repeat(3, axis=1), ACTIVATIONS["relu"], COMBINE["average"], temporal_bins
        )
        expected = x[:, frame] * still[:, 0] / mean[:, 0]
        np.testing.assert_allclose(found[:, frame], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("use_bias", [False, True])
def test_the_equations(combine, use_bias):
    x = features(2, 3, 4, 5, 6)
    layer = built(x.shape, reduction=2, combine=combine, use_bias=use_bias)
    expected = by_hand(layer, x, ACTIVATIONS["relu"], COMBINE[combine])
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_between_the_dense_layers(activation):
    x = features(2, 2, 3, 3, 4)
    layer = built(x.shape, reduction=2, activation=activation)
    expected = by_hand(layer, x, ACTIVATIONS[activation], COMBINE["average"])
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(1, 9), bins=st.integers(1, 9), use_bias=st.booleans())
def test_temporal_bins_are_those_of_adaptive_pooling(frames, bins, use_bias):
    """Whether they divide the frames or not, and more of them than frames too."""
    x = features(1, frames, 2, 2, 3)
    layer = built(x.shape, reduction=1, temporal_bins=bins, use_bias=use_bias)
    expected = by_hand(layer, x, ACTIVATIONS["relu"], COMBINE["average"], bins)
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-5, atol=1e-6)


def test_as_many_bins_as_frames_change_nothing():
    x = features(2, 4, 3, 3, 4)
    plain, binned = built(x.shape, reduction=2), built(x.shape, reduction=2, temporal_bins=4)
    binned.set_weights(plain.get_weights())
    np.testing.assert_allclose(array(binned(x)), array(plain(x)), rtol=1e-6)


def test_branches_read_what_they_are_named_after():
    """The spatial branch tells the order of frames, the temporal one does not."""
    x = features(1, 4, 3, 3, 4)
    layer = built(x.shape, reduction=1)
    reordered = array(layer(x[:, ::-1]))[:, ::-1]
    assert np.abs(reordered - array(layer(x))).max() > 1e-3
    layer.spatial_squeeze_kernel.assign(np.zeros(layer.spatial_squeeze_kernel.shape))
    reordered = array(layer(x[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(reordered, array(layer(x)), rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_means_of_large_frames_do_not_overflow_half_precision(policy):
    """100 x 100 values of 100 add up to a million, past float16's largest number."""
    x = np.full((1, 2, 100, 100, 2), 100.0, "float32")
    layer = SpatioTemporalChannelCorrelation(reduction=1, dtype=policy)
    out = array(layer(x))
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 100


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, [(32, 2), (2, 32), (128, 8), (8, 32)]),
        ({"reduction": 4}, [(32, 8), (8, 32), (128, 32), (32, 32)]),
        ({"reduction": 64}, [(32, 1), (1, 32), (128, 2), (2, 32)]),
        ({"temporal_bins": 2}, [(32, 2), (2, 32), (64, 4), (4, 32)]),
        (
            {"use_bias": True},
            [(32, 2), (2,), (2, 32), (32,), (128, 8), (8,), (8, 32), (32,)],
        ),
    ],
)
def test_shapes_of_the_weights(options, shapes):
    layer = SpatioTemporalChannelCorrelation(**options)
    layer.build((None, 4, None, None, 32))
    assert [tuple(weight.shape) for weight in layer.weights] == shapes
    assert len(layer.trainable_weights) == len(shapes)


# Parameters of networks.

RESNEXT_101 = 48_340_816  # without STC, for 400 classes


def stc_parameters(frames, channels, reduction=16):
    width = frames * channels
    temporal = 2 * channels * (channels // reduction)
    return temporal + width * (width // reduction) + (width // reduction) * channels


def stc_resnext_101_parameters(frames):
    """One STC block in each residual block; the stem and three stages halve time each."""
    plan = zip((3, 4, 23, 3), (256, 512, 1024, 2048), (2, 4, 8, 16), strict=True)
    return RESNEXT_101 + sum(
        blocks * stc_parameters(frames // divisor, channels) for blocks, channels, divisor in plan
    )


@pytest.mark.parametrize(("frames", "channels"), [(8, 32), (1, 64), (3, 48)])
def test_the_formula_counts_the_layers_parameters(frames, channels):
    layer = SpatioTemporalChannelCorrelation()
    layer.build((None, frames, 7, 7, channels))
    assert layer.count_params() == stc_parameters(frames, channels)


def test_parameters_of_stc_resnext_101_at_three_clip_lengths():
    counts = [stc_resnext_101_parameters(frames) for frames in (16, 32, 64)]
    assert counts == [65_896_272, 96_010_064, 208_142_160]


def test_a_network_has_the_parameters_of_the_formula():
    options = {"input_shape": (16, 32, 32, 3), "num_classes": 2, "stage_blocks": (1, 2, 1, 1)}
    plain = models.ResNeXt3D50(**options)
    with_stc = models.STCResNeXt3D50(**options)
    plan = zip((1, 2, 1, 1), (256, 512, 1024, 2048), (8, 4, 2, 1), strict=True)
    expected = sum(blocks * stc_parameters(frames, channels) for blocks, channels, frames in plan)
    assert with_stc.count_params() - plain.count_params() == expected


# What is refused.


def test_an_unknown_number_of_frames_is_refused():
    with pytest.raises(ValueError, match=r"\(None, None, 8, 8, 16\)"):
        SpatioTemporalChannelCorrelation()(keras.Input((None, 8, 8, 16)))


@pytest.mark.parametrize("shape", [(2, 8, 8, 16), (2, 4, 8, 8, 16, 1)])
def test_inputs_that_are_no_clips_are_refused(shape):
    with pytest.raises(ValueError, match="batch, time, height, width, channels"):
        SpatioTemporalChannelCorrelation()(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"reduction": 0},
        {"reduction": 1.5},
        {"reduction": True},
        {"combine": "mean"},
        {"temporal_bins": 0},
        {"temporal_bins": "2"},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"SpatioTemporalChannelCorrelation: `.*Received"):
        SpatioTemporalChannelCorrelation(**wrong)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="swush"):
        SpatioTemporalChannelCorrelation(activation="swush")
