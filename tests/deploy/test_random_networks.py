"""Random models predict the same in floats and int8."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from keras_t3d import models
from keras_t3d.deploy.comparison import keras_probabilities
from keras_t3d.deploy.errors import ExportError
from keras_t3d.deploy.integer_conversion import IntegerConversion
from keras_t3d.deploy.options import TFLiteOptions
from keras_t3d.deploy.quantization_report import logit_correlation
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.inference.litert_predictor import LiteRTRunner
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipConv3D,
    ClipMaxPooling3D,
    SpatioTemporalChannelCorrelation,
    TemporalTransition,
)
from tests.deploy.networks import clips_for, randomize

pytestmark = pytest.mark.export

_ACTIVATIONS = [None, "relu", "tanh", "sigmoid"]
_POOL_SIZES = [2, (1, 2, 3), (2, 1, 1)]
_STRIDES = [1, 2, (2, 1, 1), (1, 2, 1)]


def _convolution(draw, x, padding):
    size = (min(draw(st.integers(1, 3)), x.shape[1]), 3, 2)
    activation = draw(st.sampled_from(_ACTIVATIONS))
    return layers.Conv3D(8, size, draw(st.sampled_from(_STRIDES)), padding, activation=activation)(
        x
    )


def _dilated(draw, x, padding):
    rate = draw(st.sampled_from([2, (1, 2, 2), (2, 1, 1)]))
    return layers.Conv3D(4, (2, 3, 3), padding="same", dilation_rate=rate)(x)


def _evenly_padded(draw, x, padding):
    groups = x.shape[-1] // 2 if draw(st.booleans()) else 1
    y = ClipConv3D(x.shape[-1], 3, draw(st.integers(1, 2)), groups)(x)
    return ClipBatchNormalization(draw(st.sampled_from([None, "relu"])))(y)


def _pool(draw, x, padding):
    pool = draw(st.sampled_from([layers.MaxPooling3D, layers.AveragePooling3D]))
    return pool(draw(st.sampled_from(_POOL_SIZES)), draw(st.sampled_from(_STRIDES)), padding)(x)


def _even_pool(draw, x, padding):
    return ClipMaxPooling3D(3, draw(st.sampled_from([1, 2, (1, 2, 2)])))(x)


def _join(draw, x, padding):
    if draw(st.booleans()):
        return layers.Concatenate(axis=1)([x, x])
    return layers.Concatenate()([x, layers.Conv3D(4, 1, activation="relu")(x)])


def _add(draw, x, padding):
    return layers.Add()([x, layers.Conv3D(x.shape[-1], 3, padding="same")(x)])


def _normalization(draw, x, padding):
    return layers.ReLU(draw(st.sampled_from([None, 6])))(layers.BatchNormalization()(x))


def _activation(draw, x, padding):
    return layers.Activation(draw(st.sampled_from(_ACTIVATIONS[1:])))(x)


def _zero_padding(draw, x, padding):
    return layers.ZeroPadding3D(1)(x)


def _channel_correlation(draw, x, padding):
    return SpatioTemporalChannelCorrelation(2)(x)


def _temporal_transition(draw, x, padding):
    return TemporalTransition(4, (1, 2, 3), pool_size=2 if min(x.shape[1:4]) > 1 else None)(x)


_PARTS = [
    _convolution,
    _dilated,
    _evenly_padded,
    _pool,
    _even_pool,
    _join,
    _add,
    _normalization,
    _activation,
    _zero_padding,
    _channel_correlation,
    _temporal_transition,
]


def network(draw):
    """Two to five of these, between a convolution and a classifying layer."""
    frames, size = draw(st.integers(2, 7)), draw(st.integers(8, 12))
    inputs = keras.Input((frames, size, size, 3))
    x = layers.Conv3D(8, draw(st.integers(1, 2)), padding="same", activation="relu")(inputs)
    for part in draw(st.lists(st.sampled_from(_PARTS), min_size=2, max_size=5)):
        roomy = min(x.shape[1:4]) > 2
        x = part(draw, x, draw(st.sampled_from(["same", "valid"])) if roomy else "same")
    pool = draw(st.sampled_from([layers.GlobalAveragePooling3D, layers.GlobalMaxPooling3D]))
    x = pool(name="embedding")(x)
    seed = draw(st.integers(0, 99))
    return randomize(models.VideoClassifier(inputs, layers.Dense(5, name="logits")(x)), seed)


def with_clear_answers(model, clips):
    """Logits of a few units: of 8 bits' steps between hundreds, probabilities tell nothing."""
    spread = float(np.std(model(clips, training=False)))
    for weight in model.get_layer("logits").weights:
        weight.assign(weight / max(1.0, spread))


def assert_answers_the_same(model):
    clips = clips_for(model, 4)
    with_clear_answers(model, clips)
    expected = keras_probabilities(model, clips)
    assume(np.ptp(expected, axis=0).max() > 0)  # not what reads padding only
    for content, tolerance, least in (
        (convert(model, "none"), 1e-4, 0.999999),
        (IntegerConversion(model, clips).convert(TFLiteOptions("int8")), 0.2, 0.98),
    ):
        run = LiteRTRunner(content)
        found = np.concatenate([run(clip[None]) for clip in clips])
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert logit_correlation(expected, found) > least
    keras.utils.clear_session()


def test_model_with_constant_output_is_rejected():
    inputs = keras.Input((1, 8, 8, 3))
    x = layers.Conv3D(4, (2, 3, 3), padding="same", dilation_rate=2)(inputs)
    x = layers.GlobalAveragePooling3D(name="embedding")(x)
    model = models.VideoClassifier(inputs, layers.Dense(5, name="logits")(x), name="blind")
    with pytest.raises(ExportError, match=r"`quantization`.*Received: blind"):
        IntegerConversion(model, clips_for(model, 2))


@settings(max_examples=3, deadline=None, derandomize=True)
@given(data=st.data())
def test_few_random_networks(data):
    assert_answers_the_same(network(data.draw))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_many_random_networks(data):
    assert_answers_the_same(network(data.draw))
