"""Random small causal networks, and small ones of every family."""

import keras
from hypothesis import strategies as st
from keras import layers

from keras_t3d import models
from keras_t3d.layers import (
    BasicBlock3D,
    ClipBatchNormalization,
    ClipConv3D,
    ClipMaxPooling3D,
    DepthwiseTemporalTransition,
    FactorizedConv3D,
    GlobalDeviationPooling3D,
    InvertedResidualBlock3D,
    SpatioTemporalChannelCorrelation,
    TemporalTransition,
)
from tests.models.test_battery import CASES

CAUSAL = {"causal": True}
SIZE = 8
FAMILIES = list(CASES)


def of_family(name, shape=(16, 32, 32, 3), **options):
    factory, own, _ = CASES[name]
    return factory(shape, 3, **{**own, **CAUSAL, **options})


# What a layer is, by its drawn sizes: (time, stride over time).
_LAYERS = {
    "conv": lambda size, stride: ClipConv3D(
        4, (size, 3, 2), (stride, 1, 1), use_bias=True, **CAUSAL
    ),
    "groups": lambda size, stride: ClipConv3D(4, (size, 1, 1), (stride, 1, 2), 2, **CAUSAL),
    "over_time": lambda size, stride: ClipConv3D(4, (size, 1, 1), groups=4, **CAUSAL),
    "factorized": lambda size, stride: FactorizedConv3D(4, 3, size, stride, **CAUSAL),
    "max_pool": lambda size, stride: ClipMaxPooling3D(3, (stride, 1, 2), **CAUSAL),
    "keras_pool": lambda size, stride: layers.MaxPooling3D((stride, 1, 1)),
    "keras_mean": lambda size, stride: layers.AveragePooling3D((stride, 1, 1)),
    "keras_conv": lambda size, stride: layers.Conv3D(4, (1, 3, 3), padding="same"),
    "norm": lambda size, stride: ClipBatchNormalization("relu"),
    "block": lambda size, stride: BasicBlock3D(4, (stride, 1, 1), "2plus1d", **CAUSAL),
    "zero_padding": lambda size, stride: BasicBlock3D(
        4, (stride, 1, 1), shortcut="zero_padding", **CAUSAL
    ),
    "inverted": lambda size, stride: InvertedResidualBlock3D(
        4, expansion=2, temporal_depth=size, **CAUSAL
    ),
    "mixing": lambda size, stride: DepthwiseTemporalTransition(
        (1, size + 1), "he_normal", **CAUSAL
    ),
    # Its weights are those of a clip of any length only with bins.
    "stc": lambda size, stride: SpatioTemporalChannelCorrelation(
        2, temporal_bins=size, combine=("average", "maximum")[stride - 1], **CAUSAL
    ),
    "ttl": lambda size, stride: TemporalTransition(
        2, (1, size + 1), pool_size=(stride, 1, 1), **CAUSAL
    ),
}
_POOLS = {
    "avg": layers.GlobalAveragePooling3D,
    "max": layers.GlobalMaxPooling3D,
    "avg_deviation": lambda name: GlobalDeviationPooling3D(name=name, **CAUSAL),
}
RECIPES = st.tuples(
    st.lists(
        st.tuples(st.sampled_from(sorted(_LAYERS)), st.integers(1, 4), st.integers(1, 2)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
    st.sampled_from(sorted(_POOLS)),
)


def from_recipe(recipe, frames):
    """Builds a network of drawn layers, with an addition of what it normalizes or not."""
    parts, adds, pool = recipe
    inputs = keras.Input((frames, SIZE, SIZE, 3))
    x = ClipConv3D(4, (2, 3, 3), (1, 2, 2), **CAUSAL)(inputs)
    for name, size, stride in parts:
        y = _LAYERS[name](size, stride)(x)
        same = adds and tuple(y.shape) == tuple(x.shape)
        x = keras.ops.relu(x + y) if same else y
    x = _POOLS[pool](name="embedding")(x)
    return models.VideoClassifier(inputs, layers.Dense(3, name="logits")(x))
