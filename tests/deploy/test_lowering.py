"""Lowered models compute the same as Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from keras import layers

from keras_t3d.cli import main
from keras_t3d.deploy.convolution_2d import add_taps, join_frames
from keras_t3d.deploy.errors import UnsupportedLayerError
from keras_t3d.deploy.lowering import lower
from keras_t3d.layers import (
    ClipConv3D,
    ClipMaxPooling3D,
    ClipNormalization,
    GlobalDeviationPooling3D,
    SpatioTemporalChannelCorrelation,
    TemporalTransition,
)
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn
from keras_t3d.models import VideoClassifier
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


def clip_for(model):
    return clips_for(model, 1)[0].astype(np.float32)


def assert_same(model):
    clip = clip_for(model)
    expected = answers(model, clip[None]).astype(np.float32)
    for convolve in (add_taps, join_frames):
        lowered = tf.function(lower(model, convolve))(clip)
        assert_close(lowered, expected[0] if expected.ndim == 5 else expected)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    frames=st.integers(1, 7),
    size=st.integers(5, 7),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["same", "valid"]),
    groups=st.integers(1, 2),
    use_bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "tanh"]),
)
@example(5, 5, (2, 3, 3), (1, 1, 1), (2, 1, 1), "same", 1, True, None)  # no tap meets all frames
@example(7, 5, (4, 1, 1), (1, 1, 1), (2, 1, 1), "same", 1, True, "relu")
@example(1, 5, (2, 1, 1), (1, 1, 1), (3, 1, 1), "same", 1, True, None)  # no tap meets any
def test_any_convolution(
    frames, size, kernel, strides, dilation, padding, groups, use_bias, activation
):
    if max(strides) > 1 or groups > 1:  # TensorFlow has no gradients, or no kernel, for both
        dilation = (1, 1, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    assume(padding == "same" or (reach[0] <= frames and max(reach[1:]) <= size))
    conv = layers.Conv3D(
        4,
        kernel,
        strides,
        padding,
        dilation_rate=dilation,
        groups=groups,
        use_bias=use_bias,
        activation=activation,
        bias_initializer="ones",
    )
    assert_same(functional((frames, size, size + 1, 2), conv))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    frames=st.integers(1, 7),
    size=st.integers(4, 7),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
    use_bias=st.booleans(),
    padding=st.sampled_from(["even", "same_frames"]),
    causal=st.booleans(),
)
@example(5, 5, (4, 1, 1), (1, 1, 1), 4, True, "even", False)  # over time alone
@example(5, 5, (4, 1, 1), (1, 1, 1), 4, True, "even", True)
@example(5, 6, (1, 3, 3), (1, 2, 2), 4, False, "same_frames", False)  # depthwise
def test_any_clip_convolution(frames, size, kernel, strides, groups, use_bias, padding, causal):
    frames = frames * strides[0] if causal else frames
    conv = ClipConv3D(4, kernel, strides, groups, use_bias, padding=padding, causal=causal)
    assert_same(functional((frames, size, size + 1, 4), conv))


@pytest.mark.parametrize("strides", [1, 2, (3, 2, 2)])
def test_causal_pools(strides):
    pool = ClipMaxPooling3D(3, strides, causal=True)
    assert_same(functional((6, 6, 7, 4), pool))
    assert_same(functional((6, 6, 7, 4), GlobalDeviationPooling3D(causal=True)))


@pytest.mark.parametrize("combine", ["average", "sum", "maximum"])
@pytest.mark.parametrize("temporal_bins", [None, 1, 3, 7])
def test_channel_correlation(combine, temporal_bins):
    layer = SpatioTemporalChannelCorrelation(
        2, activation="sigmoid", combine=combine, temporal_bins=temporal_bins, use_bias=True
    )
    assert_same(functional((5, 6, 6, 4), layer))


def skips_the_end(length, size, stride):
    """Whether the last window of padding "same" ends before the last value."""
    return (-(-length // stride) - 1) * stride + size < length


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    pooling=st.sampled_from([layers.MaxPooling3D, layers.AveragePooling3D]),
    padding=st.sampled_from(["same", "valid"]),
    frames=st.integers(1, 7),
    pool=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
)
@example(layers.AveragePooling3D, "same", 1, (3, 1, 1), (1, 1, 1))  # a tap that meets no frame
@example(layers.AveragePooling3D, "same", 2, (4, 1, 1), (1, 1, 1))
def test_any_pool(pooling, padding, frames, pool, strides):
    assume(padding == "same" or pool[0] <= frames)
    # Without oneDNN, TensorFlow's own pool is wrong where strides skip the last row or column.
    axes = zip((frames, 6, 7), pool, strides, strict=True)
    assume(padding == "valid" or not any(skips_the_end(*axis) for axis in axes))
    # Negative values show a pool that pads with zeros.
    shift = ClipNormalization(mean=(1, 1, 1))
    assert_same(functional((frames, 6, 7, 3), shift, pooling(pool, strides, padding)))


@pytest.mark.parametrize("frames", [1, 4, 5])
@pytest.mark.parametrize(
    ("size", "strides"), [(3, 2), (3, (1, 2, 2)), ((1, 3, 5), 1), ((5, 1, 1), (2, 1, 1))]
)
def test_evenly_padded_pool(frames, size, strides):
    shift = ClipNormalization(mean=(1, 1, 1))
    assert_same(functional((frames, 6, 7, 3), shift, ClipMaxPooling3D(size, strides)))
    # After a ReLU, zeros are padded.
    assert_same(functional((frames, 6, 7, 3), layers.ReLU(6), ClipMaxPooling3D(size, strides)))


@pytest.mark.parametrize("variant", ["paper", "authors_code"])
@pytest.mark.parametrize("pool_size", [2, None])
def test_temporal_transition(variant, pool_size):
    layer = TemporalTransition(4, (1, 3, 6), variant=variant, pool_size=pool_size)
    assert_same(functional((5, 6, 6, 3), layer))


def test_concatenation_padding_and_reshaping():
    inputs = keras.Input((4, 6, 6, 3))
    padded = layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))(ClipNormalization()(inputs))
    branches = [layers.Conv3D(4, 3, padding="same")(padded) for _ in range(2)]
    joined = layers.Concatenate()([layers.Add()([*branches, branches[0]]), padded])
    joined = layers.Concatenate(axis=1)([joined, joined])
    x = layers.BatchNormalization(center=False)(joined)
    x = layers.Activation("relu")(layers.Dropout(0.5)(x))
    pooled = [layers.GlobalMaxPooling3D()(x), layers.GlobalAveragePooling3D()(x)]
    kept = layers.GlobalAveragePooling3D(keepdims=True)(x)
    vector = layers.Concatenate()([*pooled, layers.Flatten()(x), layers.Flatten()(kept)])
    outputs = layers.Dense(5, activation="softmax")(vector)
    assert_same(randomize(keras.Model(inputs, outputs)))


def test_nested_models_and_shared_layers():
    inner_input = keras.Input((4, 6, 6, 3))
    conv = layers.Conv3D(3, 3, padding="same")
    inner = keras.Model(inner_input, conv(conv(inner_input)))
    head = keras.Sequential([layers.ReLU(), layers.GlobalAveragePooling3D(), layers.Dense(2)])
    assert_same(functional((4, 6, 6, 3), ClipNormalization(), inner, inner, head))


def test_arithmetic():
    inputs = keras.Input((4, 6, 6, 3))
    x = ClipNormalization()(inputs)
    y = layers.Conv3D(3, 3, padding="same")(x)
    z = ClipConv3D(3, 3)(x) + y - 2.0 * x / 3
    z = (1 - z) * y + np.float64([0.5, -1, 2]) + np.ones((1, 1, 6, 1, 3))
    z = keras.ops.minimum(-z, keras.ops.maximum(x, np.arange(24).reshape(4, 6, 1, 1)))
    assert_same(randomize(keras.Model(inputs, z)))


def test_arithmetic_of_clips_and_vectors():
    inputs = keras.Input((4, 6, 6, 3))
    x = ClipNormalization()(inputs)
    vector = layers.GlobalAveragePooling3D()(x)
    scaled = layers.Multiply()([x, layers.GlobalAveragePooling3D(keepdims=True)(x)])
    ends = [scaled - 1, x * 2]
    joined = [layers.Average()(ends), layers.Subtract()(ends), layers.Maximum()(ends)]
    joined = [*joined, layers.Minimum()(ends), layers.Rescaling(2.0, 1.0)(x)]
    pooled = layers.GlobalMaxPooling3D()(layers.Concatenate()(joined))
    outputs = layers.Concatenate()([pooled, layers.Softmax()(vector / 2 + 1)])
    assert_same(randomize(keras.Model(inputs, outputs)))


def test_functions_that_compute_what_layers_do():
    ops = keras.ops
    inputs = keras.Input((4, 6, 6, 3))
    x = ops.cast(layers.Conv3D(3, 3)(ClipNormalization()(inputs)), "float32")
    x = ops.pad(x, ((0, 0), (1, 1), (0, 2), (2, 1), (0, 0)))
    x = ops.concatenate([ops.relu(x), ops.relu6(x * 9), ops.sigmoid(x), ops.tanh(x)], axis=-1)
    x = ops.max_pool(x, 2, padding="same")
    x = ops.average_pool(x, (1, 2, 2), strides=1)
    pooled = [ops.mean(x, axis=(1, 2, 3)), ops.max(x, axis=[-2, -3, -4])]
    vector = ops.concatenate([*pooled, layers.Flatten()(x)], axis=1)
    kept = layers.Flatten()(ops.mean(x, (1, 2, 3), keepdims=True))
    outputs = ops.concatenate([ops.softmax(vector), kept], axis=-1)
    assert_same(randomize(keras.Model(inputs, outputs)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x**2, "Power"),
        (lambda x: x[:, 1:], "GetItem"),
        (lambda x: keras.ops.mean(x, axis=1), "Mean"),
        (lambda x: keras.ops.max(x, axis=(1, 2, 3), initial=0.0), "Max"),
        (lambda x: keras.ops.pad(x, 1), "Pad"),
        (lambda x: keras.ops.cast(x, "int32"), "Cast"),
        (lambda x: x + np.ones((2, 4, 6, 6, 3)), "Add"),
    ],
)
def test_unsupported_functions_are_named(function, message):
    inputs = keras.Input((4, 6, 6, 3))
    model = keras.Model(inputs, function(ClipNormalization()(inputs)))
    with pytest.raises(UnsupportedLayerError, match=f"class {message}") as raised:
        lower(model)(clip_for(model))
    assert len(str(raised.value).splitlines()) == 1


class OtherCall(keras.Model):
    """A functional model that computes something else than its graph."""

    def call(self, inputs, training=None):
        return 2 * super().call(inputs)


def test_a_model_with_its_own_call_is_refused():
    inner_input = keras.Input((4, 6, 6, 3))
    inner = OtherCall(inner_input, ClipConv3D(3, 3)(inner_input), name="other")
    model = functional((4, 6, 6, 3), inner)
    with pytest.raises(UnsupportedLayerError, match=r"'other'.*OtherCall"):
        lower(model)(clip_for(model))


def test_a_composite_layer_needs_no_rule():
    assert_same(functional((4, 6, 6, 3), NormalizedConv3D(4), NormalizedConv3D(3)))


def test_part_that_concatenates_fewer_inputs_than_the_previous_one():
    assert_same(functional((4, 6, 6, 3), Shrinking()))


def test_a_mixed_precision_network_is_lowered_in_float32(model):
    mixed = small_network(dtype="mixed_bfloat16")
    clip = clip_for(model)
    np.testing.assert_array_equal(lower(mixed)(clip), lower(model)(clip))


@pytest.mark.parametrize("conv", [layers.Conv3D(4, 3, padding="same"), ClipConv3D(4, 3)])
def test_taps_that_read_only_padding_are_omitted(conv):
    model = functional((1, 6, 6, 3), conv)
    traced = tf.function(lower(model), input_signature=[tf.TensorSpec((1, 6, 6, 3))])
    operations = [op.type for op in traced.get_concrete_function().graph.get_operations()]
    assert operations.count("Conv2D") == 1
    assert not {"Conv3D", "Pad", "StridedSlice"} & set(operations)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("convolve", [add_taps, join_frames])
def test_batch_norm_is_folded_into_a_convolution(use_bias, convolve):
    """Keras's own layers, as a user puts them together."""
    conv = layers.Conv3D(4, 3, padding="same", use_bias=use_bias)
    model = functional((3, 6, 6, 3), conv, layers.BatchNormalization(), layers.ReLU())
    assert_same(model)
    traced = tf.function(lower(model, convolve), input_signature=[tf.TensorSpec((3, 6, 6, 3))])
    graph = traced.get_concrete_function().graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert not {"DepthwiseConv2dNative", "Mul"}.intersection(kinds)


def test_convolution_with_two_readers():
    inputs = keras.Input((3, 6, 6, 3))
    x = layers.Conv3D(4, 3, padding="same")(inputs)
    outputs = layers.Add()([layers.BatchNormalization()(x), x, layers.Activation("tanh")(x)])
    assert_same(randomize(keras.Model(inputs, outputs)))


class Shrinking(CompositeLayer):
    """A composite layer one part of which joins less than the part before it."""

    def compose(self, run, clips):
        parts = [clips, clips * 2.0, clips * 3.0]
        longer = run(InTurn([]), (), parts)
        return run(InTurn([]), (), [longer[..., :1], *[run(InTurn([]), (), parts[:2])]])


class Doubled(layers.Conv3D):
    """A subclass of a known layer that computes something else."""

    def call(self, inputs):
        return 2 * super().call(inputs)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Conv3DTranspose(2, 3, name="up"), "'up'.*Conv3DTranspose"),
        (Doubled(2, 3, name="twice"), "'twice'.*Doubled"),
        (DoubledComposite(2, name="both"), "'both'.*DoubledComposite"),
        (layers.BatchNormalization(axis=1, name="bn"), "'bn'.*axis=-1"),
        (layers.ReLU(max_value=2, name="two"), "'two'.*max_value=2"),
        (layers.Activation("selu", name="selu"), "'selu'.*relu"),
        (layers.Dense(2, name="dense"), "'dense'.*kernel_size=1"),
    ],
)
def test_unsupported_layers_are_named(layer, message):
    model = functional((6, 6, 6, 3), layer)
    with pytest.raises(UnsupportedLayerError, match=f"(?s){message}"):
        lower(model)(clip_for(model))


def test_training_behaviour_is_rejected():
    inputs = keras.Input((4, 6, 6, 3))
    model = keras.Model(inputs, layers.Dropout(0.5, name="always")(inputs, training=True))
    with pytest.raises(UnsupportedLayerError, match=r"'always'.*training"):
        lower(model)(clip_for(model))


def test_the_command_names_the_layer_in_one_line(tmp_path, capsys):
    inputs = keras.Input((4, 8, 8, 3))
    x = layers.LayerNormalization(name="odd")(ClipNormalization()(inputs))
    x = layers.GlobalAveragePooling3D(name="embedding")(x)
    VideoClassifier(inputs, layers.Dense(2)(x)).save(tmp_path / "odd.keras")
    words = ["export", "tflite", str(tmp_path / "odd.keras"), str(tmp_path / "odd.tflite")]
    assert main([*words, "--calibration", str(tmp_path / "shards that are not read")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "'odd'" in line
    assert "LayerNormalization" in line
