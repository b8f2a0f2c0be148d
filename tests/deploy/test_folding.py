"""Folded models compute the same as Keras, without batch normalisations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_t3d import models
from keras_t3d.deploy import SavedModelOptions, export_saved_model
from keras_t3d.deploy.errors import UntraceableLayerError
from keras_t3d.deploy.folding import fold
from keras_t3d.layers import (
    ClipBatchNormalization,
    ClipConv3D,
    ClipNormalization,
    DenseBlock3D,
    FactorizedConv3D,
)
from tests.deploy.networks import (
    DoubledComposite,
    NormalizedConv3D,
    answers,
    assert_close,
    clips_for,
    functional,
    randomize,
    small_network,
)

pytestmark = pytest.mark.export


def assert_same(model):
    clips = clips_for(model, 2)
    assert_close(tf.function(fold(model))(clips), answers(model, clips))


def operations(model):
    """The types of the operations of its folded graph."""
    view = tf.TensorSpec((None, *model.inputs[0].shape[1:]))
    traced = tf.function(fold(model), input_signature=[view], autograph=False)
    return [op.type for op in traced.get_concrete_function().graph.get_operations()]


def test_residual_network_has_no_batch_normalisation_left():
    model = models.ResNet3D(
        input_shape=(8, 16, 16, 3),
        num_classes=2,
        block="bottleneck",
        stage_blocks=(1, 1),
        stage_filters=(4, 8),
        stem_filters=4,
    )
    found = operations(model)
    assert "FusedBatchNormV3" not in found
    assert found.count("Conv3D") == 9  # stem, three a block, and two projections
    assert "ReadVariableOp" not in found


def test_batch_normalisation_after_concatenation_is_kept():
    model = functional((4, 6, 6, 3), DenseBlock3D(5, growth_rate=2))
    found = operations(model)
    assert found.count("FusedBatchNormV3") == 5
    assert found.count("Conv3D") == 5
    assert found.count("Conv2D") == 5 * 3  # each added feature is computed once, by taps
    assert_same(model)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    frames=st.integers(1, 5),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 3]),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu"]),
)
def test_any_normalised_convolution(frames, kernel, strides, groups, use_bias, activation):
    conv = ClipConv3D(6, kernel, strides, groups, use_bias)
    norm = ClipBatchNormalization(activation)
    model = functional((frames, 6, 7, 3), conv, norm)
    assert "FusedBatchNormV3" not in operations(model)
    assert_same(model)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(
    ("before", "kernel", "strides"),
    [([], 3, 2), ([layers.ZeroPadding3D(1)], 3, 1), ([layers.ZeroPadding3D(1)], 1, 2)],
)
def test_a_leaky_relu_after_padding(before, kernel, strides, normalized):
    """TensorFlow's graph optimizer merges Pad, Conv3D, BiasAdd and LeakyReLU, without the slope."""
    conv = ClipConv3D(4, kernel, strides, use_bias=not normalized)
    norm = [ClipBatchNormalization()] if normalized else []
    assert_same(functional((4, 6, 6, 3), *before, conv, *norm, layers.LeakyReLU(0.6)))


def test_convolution_with_several_readers():
    inputs = keras.Input((4, 6, 6, 3))
    conv = ClipConv3D(4, 3)(inputs)
    read = [conv, ClipBatchNormalization("relu")(conv), ClipBatchNormalization()(conv)]
    joined = layers.Concatenate()([*read, layers.ReLU()(conv)])
    assert_same(randomize(keras.Model(inputs, joined + 1.0)))


def test_several_outputs():
    inputs = keras.Input((4, 6, 6, 3))
    conv = FactorizedConv3D(4, 5)(inputs)
    model = randomize(keras.Model(inputs, [conv, layers.GlobalMaxPooling3D()(conv)]))
    clips = clips_for(model, 2)
    folded = tf.function(fold(model))(clips)
    expected = model(clips.astype("float32"))
    assert len(folded) == 2
    for actual, wanted in zip(folded, expected, strict=True):
        assert_close(actual, keras.ops.convert_to_numpy(wanted))


class Scaled(ClipConv3D):
    """A subclass of a known layer that computes something else."""

    def call(self, clips, training=None):
        return 2 * super().call(clips)


def test_layers_without_a_rule_and_nested_models():
    inner_input = keras.Input((4, 6, 6, 3))
    x = layers.Conv3D(4, 3, activation="gelu")(inner_input)
    inner = keras.Model(inner_input, layers.BatchNormalization()(x))
    head = keras.Sequential([layers.Dropout(0.5), layers.GlobalAveragePooling3D()])
    model = functional(
        (4, 6, 6, 3), ClipNormalization(), Scaled(3, 1), inner, ClipConv3D(4, 1), head
    )
    assert "ReadVariableOp" not in operations(model)
    assert_same(model)


def test_a_composite_layer_needs_no_rule():
    model = functional((4, 6, 6, 3), NormalizedConv3D(4), NormalizedConv3D(3))
    assert "FusedBatchNormV3" not in operations(model)
    assert_same(model)


def test_composite_layer_with_its_own_call_is_called():
    assert_same(functional((4, 6, 6, 3), DoubledComposite(4)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_precision_network_is_folded_in_float32(policy, model, clips):
    mixed = small_network(dtype=policy)
    np.testing.assert_allclose(fold(mixed)(clips), fold(model)(clips), rtol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class OutsideOfGraphs(layers.Layer):
    """A layer that computes with NumPy."""

    def call(self, inputs):
        return inputs * float(np.asarray(inputs).mean())

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("frozen", [True, False])
def test_a_layer_that_no_graph_can_hold_is_named(frozen, tmp_path):
    inputs = keras.Input((4, 6, 6, 3))
    x = OutsideOfGraphs(name="odd")(inputs)
    x = layers.GlobalAveragePooling3D(name="embedding")(x)
    model = models.VideoClassifier(inputs, layers.Dense(2)(x))
    options = SavedModelOptions(frozen=frozen)
    with pytest.raises(UntraceableLayerError, match=r"'odd'.*OutsideOfGraphs") as raised:
        export_saved_model(model, tmp_path / "odd", options=options)
    assert len(str(raised.value).splitlines()) == 1
