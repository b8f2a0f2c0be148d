"""Every layer goes through the battery of `tests/battery.py`."""

import pytest

from keras_t3d import layers
from tests.battery import check_layer

CLIPS = (2, 4, 6, 5, 4)
BASIC, BOTTLENECK = layers.BasicBlock3D, layers.BottleneckBlock3D
STC = {"reduction": 2, "activation": "tanh"}  # no dead ReLU

CASES = {
    "normalization": (layers.ClipNormalization, {"mean": (0.1, 0.2, 0.3)}, (2, 3, 4, 5, 3), None),
    "batch_norm": (layers.ClipBatchNormalization, {}, CLIPS, None),
    "batch_norm_relu": (
        layers.ClipBatchNormalization,
        {"activation": "relu", "momentum": 0.8, "epsilon": 1e-3},
        CLIPS,
        None,
    ),
    "batch_norm_without_scale": (
        layers.ClipBatchNormalization,
        {"activation": "relu", "scale": False, "beta_regularizer": None},
        CLIPS,
        None,
    ),
    "synchronized": (layers.ClipBatchNormalization, {"synchronized": True}, CLIPS, None),
    "conv": (layers.ClipConv3D, {"filters": 3, "kernel_size": 3}, CLIPS, (2, 4, 6, 5, 3)),
    "conv_1x1x1": (layers.ClipConv3D, {"filters": 3, "kernel_size": 1}, CLIPS, (2, 4, 6, 5, 3)),
    "conv_deep": (
        layers.ClipConv3D,
        {"filters": 3, "kernel_size": (6, 3, 3), "use_bias": True},
        CLIPS,
        (2, 4, 6, 5, 3),
    ),
    "conv_strided": (
        layers.ClipConv3D,
        {"filters": 3, "kernel_size": (3, 7, 7), "strides": 2, "kernel_initializer": "ones"},
        CLIPS,
        (2, 2, 3, 3, 3),
    ),
    "conv_pointwise_strided": (
        layers.ClipConv3D,
        {"filters": 3, "kernel_size": 1, "strides": (1, 2, 2)},
        CLIPS,
        (2, 4, 3, 3, 3),
    ),
    "conv_grouped": (
        layers.ClipConv3D,
        {"filters": 6, "kernel_size": 3, "strides": (2, 1, 1), "groups": 2},
        CLIPS,
        (2, 2, 6, 5, 6),
    ),
    "conv_padded_as_keras": (
        layers.ClipConv3D,
        {"filters": 3, "kernel_size": (3, 5, 3), "strides": (2, 2, 1), "padding": "same_frames"},
        CLIPS,
        (2, 2, 3, 5, 3),
    ),
    "conv_over_time": (
        layers.ClipConv3D,
        {"filters": 4, "kernel_size": (4, 1, 1), "groups": 4},
        CLIPS,
        None,
    ),
    "conv_causal": (
        layers.ClipConv3D,
        {"filters": 6, "kernel_size": 3, "strides": (2, 1, 1), "groups": 2, "causal": True},
        CLIPS,
        (2, 2, 6, 5, 6),
    ),
    "conv_over_time_causal": (
        layers.ClipConv3D,
        {"filters": 4, "kernel_size": (3, 1, 1), "groups": 4, "causal": True},
        CLIPS,
        None,
    ),
    "batch_norm_relu6": (layers.ClipBatchNormalization, {"activation": "relu6"}, CLIPS, None),
    "normalized": (
        layers.NormalizedConv3D,
        {"filters": 3, "kernel_size": (1, 3, 3), "strides": (1, 2, 2), "activation": None},
        CLIPS,
        (2, 4, 3, 3, 3),
    ),
    "inverted": (layers.InvertedResidualBlock3D, {"filters": 4, "expansion": 2}, CLIPS, None),
    "inverted_strided": (
        layers.InvertedResidualBlock3D,
        {
            "filters": 6,
            "kernel_size": 5,
            "strides": 2,
            "expansion": 1,
            "temporal_depth": 3,
            "rematerialize": True,
            "stc": "residual",
            "stc_options": STC,
        },
        CLIPS,
        (2, 4, 3, 3, 6),
    ),
    "deviation_pool": (layers.GlobalDeviationPooling3D, {}, CLIPS, (2, 8)),
    "deviation_pool_causal": (layers.GlobalDeviationPooling3D, {"causal": True}, CLIPS, (2, 8)),
    "depthwise_transition": (
        layers.DepthwiseTemporalTransition,
        {"depths": (1, 3, 4), "mixing_initializer": "he_normal"},
        CLIPS,
        None,
    ),
    "max_pool": (
        layers.ClipMaxPooling3D,
        {"pool_size": 3, "strides": (1, 2, 2)},
        CLIPS,
        (2, 4, 3, 3, 4),
    ),
    "max_pool_causal": (
        layers.ClipMaxPooling3D,
        {"pool_size": 3, "strides": (1, 2, 2), "causal": True},
        CLIPS,
        (2, 4, 3, 3, 4),
    ),
    "basic_causal": (
        BASIC,
        {"filters": 6, "strides": 2, "shortcut": "zero_padding", "causal": True},
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "factorized": (
        layers.FactorizedConv3D,
        {"filters": 3, "middle_filters": 5, "strides": (2, 1, 2)},
        CLIPS,
        (2, 2, 6, 3, 3),
    ),
    "stc_causal": (
        layers.SpatioTemporalChannelCorrelation,
        {"reduction": 2, "causal": True},
        CLIPS,
        None,
    ),
    "stc": (layers.SpatioTemporalChannelCorrelation, {"reduction": 2}, CLIPS, None),
    "stc_bins": (
        layers.SpatioTemporalChannelCorrelation,
        {
            "reduction": 2,
            "activation": "tanh",
            "combine": "sum",
            "temporal_bins": 3,
            "use_bias": True,
        },
        CLIPS,
        None,
    ),
    "dense_block": (
        layers.DenseBlock3D,
        {"num_layers": 3, "growth_rate": 2, "bottleneck_factor": 2},
        CLIPS,
        (2, 4, 6, 5, 10),
    ),
    "dense_block_rematerialized": (
        layers.DenseBlock3D,
        {"num_layers": 2, "growth_rate": 2, "rematerialize": True},
        CLIPS,
        (2, 4, 6, 5, 8),
    ),
    "basic": (BASIC, {"filters": 4}, CLIPS, None),
    "basic_projection": (BASIC, {"filters": 6, "strides": 2}, CLIPS, (2, 2, 3, 3, 6)),
    "basic_zero_padding": (
        BASIC,
        {"filters": 6, "strides": 2, "shortcut": "zero_padding"},
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "basic_2d": (
        BASIC,
        {"filters": 6, "strides": (1, 2, 2), "convolution": "2d"},
        CLIPS,
        (2, 4, 3, 3, 6),
    ),
    "basic_2plus1d": (
        BASIC,
        {"filters": 6, "strides": 2, "convolution": "2plus1d"},
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "basic_2plus1d_rematerialized": (
        BASIC,
        {"filters": 4, "convolution": "2plus1d", "rematerialize": True},
        CLIPS,
        None,
    ),
    "basic_stc": (
        BASIC,
        {"filters": 6, "strides": 2, "stc": "residual", "stc_options": STC},
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "basic_stc_rematerialized": (
        BASIC,
        {
            "filters": 6,
            "strides": 2,
            "stc": "output",
            "stc_options": {**STC, "temporal_bins": 3, "combine": "maximum", "use_bias": True},
            "rematerialize": True,
        },
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "bottleneck": (
        BOTTLENECK,
        {"filters": 2, "strides": 2, "expansion": 3},
        CLIPS,
        (2, 2, 3, 3, 6),
    ),
    "bottleneck_resnext": (BOTTLENECK, {"filters": 4, "expansion": 1, "groups": 2}, CLIPS, None),
    "bottleneck_stc_rematerialized": (
        BOTTLENECK,
        {
            "filters": 4,
            "strides": 2,
            "expansion": 2,
            "groups": 2,
            "stc": "residual",
            "stc_options": STC,
            "rematerialize": True,
        },
        CLIPS,
        (2, 2, 3, 3, 8),
    ),
    "stem": (
        layers.Stem3D,
        {"filters": 3, "kernel_size": 3, "pool_strides": (1, 2, 2)},
        CLIPS,
        (2, 4, 2, 2, 3),
    ),
    "stem_without_pool": (
        layers.Stem3D,
        {"filters": 3, "pool_strides": None, "kernel_initializer": "glorot_uniform"},
        CLIPS,
        (2, 4, 3, 3, 3),
    ),
    "stem_factorized": (
        layers.Stem3D,
        {"filters": 3, "strides": 1, "middle_filters": 5},
        CLIPS,
        (2, 2, 3, 3, 3),
    ),
    "transition": (
        layers.TemporalTransition,
        {"filters": 3, "depths": (1, 3, 6)},
        CLIPS,
        (2, 2, 3, 2, 9),
    ),
    "transition_of_the_authors": (
        layers.TemporalTransition,
        {
            "filters": 3,
            "depths": (1, 4),
            "variant": "authors_code",
            "pool_size": (1, 2, 2),
        },
        CLIPS,
        (2, 4, 3, 2, 6),
    ),
    "transition_without_pool": (
        layers.TemporalTransition,
        {"filters": 3, "depths": (2,), "pool_size": None},
        CLIPS,
        (2, 4, 6, 5, 3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_layer(case, tmp_path):
    cls, options, input_shape, output_shape = CASES[case]
    check_layer(cls, options, input_shape, output_shape or input_shape, tmp_path)


def test_no_layer_is_left_out():
    assert {cls.__name__ for cls, *_ in CASES.values()} == set(layers.__all__)
