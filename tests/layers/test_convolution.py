"""ClipConv3D against the definition of a convolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops
from tensorflow.core.protobuf import saved_model_pb2

from keras_t3d import models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import BasicBlock3D, BottleneckBlock3D, ClipConv3D
from keras_t3d.layers.operations import convolution, frame_convolution
from keras_t3d.layers.operations.normalization import normalize_by
from keras_t3d.layers.operations.padding import Padding
from tests import grappler
from tests.battery import array, fit_one_step, noise_clips, randomize


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(x, *arguments, **options):
    layer = ClipConv3D(*arguments, **options)
    layer.build(x.shape)
    return randomize(layer)


def padded_evenly(x, sizes):
    return np.pad(x, [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)])


def by_definition(x, kernel, strides=(1, 1, 1), groups=1):
    """Every output value is the sum over its window, one group of channels at a time."""
    sizes, (into, filters) = kernel.shape[:3], kernel.shape[3:]
    padded = padded_evenly(x, sizes).astype("float64")
    counts = [(side - 1) // stride + 1 for side, stride in zip(x.shape[1:4], strides, strict=True)]
    out = np.zeros((len(x), *counts, filters))
    for t, h, w in np.ndindex(*counts):
        first = [index * stride for index, stride in zip((t, h, w), strides, strict=True)]
        window = padded[:, *[slice(i, i + size) for i, size in zip(first, sizes, strict=True)]]
        for group in range(groups):
            channels = slice(group * into, (group + 1) * into)
            own = slice(group * filters // groups, (group + 1) * filters // groups)
            out[:, t, h, w, own] = np.einsum(
                "bthwc,thwcf->bf", window[..., channels], kernel[..., own]
            )
    return out


sizes = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
sides = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))


@settings(max_examples=60, deadline=None)
@given(sides=sides, sizes=sizes, strides=strides, groups=st.sampled_from([1, 1, 2, 4]))
def test_the_definition(sides, sizes, strides, groups):
    """Even kernels, kernels deeper than the clip, strides longer than it, groups."""
    x = features(2, *sides, 4)
    layer = built(x, 4, sizes, strides, groups)
    expected = by_definition(x, array(layer.kernel), strides, groups)
    assert tuple(layer.compute_output_shape(x.shape)) == expected.shape
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(steps=st.integers(1, 4), sizes=sizes, strides=strides, groups=st.sampled_from([1, 1, 4]))
@example(steps=4, sizes=(4, 1, 1), strides=(1, 1, 1), groups=4)  # over time alone
@example(steps=3, sizes=(1, 3, 3), strides=(2, 2, 2), groups=1)  # reads every second frame
def test_a_causal_output_reads_up_to_the_last_frame_of_its_stride(steps, sizes, strides, groups):
    x = features(2, steps * strides[0], 5, 6, 4)
    layer = built(x, 4, sizes, strides, groups, causal=True)
    kernel, shift = array(layer.kernel), strides[0] - sizes[0]
    before = np.zeros((2, max(-shift, 0), 5, 6, 4), "float32")
    whole = np.concatenate([before, x[:, max(shift, 0) :]], axis=1)
    pads = Padding("even", "valid")

    def expected(x, kernel):
        x = ops.pad(x, [(0, 0), (0, 0), *_even(sizes[1:]), (0, 0)])
        return _grouped(x, kernel, strides, groups)

    ours = gradients(lambda x, kernel: layer.convolve(x, pads, kernel), whole, kernel)
    for one, other in zip(ours, gradients(expected, whole, kernel), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-4)
    own = gradients(lambda x, kernel: layer.compute(x, kernel)[0], x, kernel)
    assert own[0].shape == tuple(layer.compute_output_shape(x.shape))
    np.testing.assert_allclose(own[0], ours[0], rtol=1e-4, atol=2e-4)
    of_clip = np.zeros_like(x)
    of_clip[:, max(shift, 0) :] = ours[1][:, max(-shift, 0) :]
    np.testing.assert_allclose(own[1], of_clip, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(own[2], ours[2], rtol=1e-4, atol=2e-4)


def test_causal_strides_need_whole_steps():
    with pytest.raises(InvalidArgumentError, match=r"multiple of 2.*Received: 5 frames"):
        ClipConv3D(4, 3, (2, 1, 1), causal=True)(features(1, 5, 4, 4, 2))


def test_the_bias_is_added():
    x = features(1, 2, 3, 3, 2)
    layer = built(x, 3, 3, use_bias=True)
    expected = by_definition(x, array(layer.kernel)) + array(layer.bias)
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (1, 2, 2)])
def test_padding_is_even(strides):
    """Flipping an odd-sided clip and its kernel flips the result."""
    x = features(1, 5, 7, 7, 3)
    layer = built(x, 4, (3, 5, 5), strides)
    mirrored = built(x, 4, (3, 5, 5), strides)
    mirrored.kernel.assign(array(layer.kernel)[::-1, ::-1, ::-1])
    flipped = array(mirrored(x[:, ::-1, ::-1, ::-1]))[:, ::-1, ::-1, ::-1]
    np.testing.assert_allclose(array(layer(x)), flipped, rtol=1e-5, atol=1e-5)


# Gradients.


def keras_convolution(x, kernel, strides, groups):
    """The same convolution by Keras's operations: pad, convolve each group, concatenate."""
    x = ops.pad(x, [(0, 0), *_even(kernel.shape[:3]), (0, 0)])
    return _grouped(x, kernel, strides, groups)


def _even(sizes):
    return [((size - 1) // 2, size // 2) for size in sizes]


def _grouped(x, kernel, strides, groups):
    parts = zip(ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
    return ops.concatenate([ops.conv(part, own, strides, "valid") for part, own in parts], axis=-1)


def gradients(function, *tensors):
    """Value and gradients of a sum that weighs every output differently."""
    tensors = [tf.constant(tensor) for tensor in tensors]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
        loss = tf.reduce_sum(y * features(*y.shape, seed=1))
    return [array(y), *map(array, tape.gradient(loss, tensors))]


@pytest.mark.parametrize(
    ("shape", "sizes", "strides", "groups"),
    [
        ((2, 4, 5, 6, 4), (1, 1, 1), (1, 1, 1), 1),
        ((2, 4, 5, 6, 4), (1, 1, 1), (2, 2, 1), 1),
        ((2, 4, 5, 6, 4), (3, 3, 3), (1, 1, 1), 1),
        ((2, 4, 5, 6, 4), (3, 3, 3), (2, 2, 2), 1),
        ((2, 4, 5, 6, 4), (6, 3, 3), (1, 1, 1), 1),
        ((2, 4, 5, 6, 4), (1, 3, 3), (1, 1, 1), 1),
        ((2, 4, 5, 6, 4), (4, 2, 4), (1, 1, 1), 1),
        ((2, 4, 5, 6, 4), (4, 2, 4), (2, 1, 2), 1),
        ((2, 4, 5, 6, 4), (3, 1, 1), (2, 1, 1), 1),
        ((2, 4, 5, 6, 4), (3, 3, 3), (1, 1, 1), 2),
        ((2, 4, 5, 6, 4), (3, 3, 3), (2, 2, 2), 4),
        ((2, 1, 5, 6, 4), (3, 3, 3), (1, 1, 1), 1),
        ((2, 2, 5, 6, 4), (6, 3, 3), (1, 1, 1), 2),
        ((2, 1, 5, 6, 4), (5, 3, 3), (2, 2, 2), 2),
    ],
)
def test_values_and_gradients_are_those_of_keras_operations(shape, sizes, strides, groups):
    x, kernel = features(*shape), features(*sizes, 4 // groups, 8, seed=2)
    layer = ClipConv3D(8, sizes, strides, groups)
    ours = gradients(lambda x, kernel: layer.compute(x, kernel)[0], x, kernel)
    keras_ = gradients(lambda x, kernel: keras_convolution(x, kernel, strides, groups), x, kernel)
    for one, other in zip(ours, keras_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-4)


@settings(max_examples=60, deadline=None)
@given(sides=sides, sizes=sizes, strides=strides, groups=st.sampled_from([1, 1, 2]))
@example(sides=(2, 4, 4), sizes=(3, 3, 3), strides=(1, 1, 1), groups=1)
@example(sides=(4, 4, 4), sizes=(7, 1, 1), strides=(1, 1, 1), groups=1)
@example(sides=(2, 4, 4), sizes=(3, 3, 3), strides=(2, 2, 2), groups=1)
@example(sides=(1, 5, 1), sizes=(1, 1, 2), strides=(1, 1, 3), groups=1)
@example(sides=(4, 5, 2), sizes=(3, 1, 3), strides=(1, 2, 2), groups=1)
@example(sides=(4, 5, 1), sizes=(1, 1, 2), strides=(1, 1, 2), groups=2)
def test_bfloat16_has_the_values_and_gradients_of_float32(sides, sizes, strides, groups):
    """TensorFlow's own are wrong, or end the process, where no window lies within the clip,

    and with AMX where one window fits across the width.
    """
    x, kernel = features(2, *sides, 16), features(*sizes, 16 // groups, 16, seed=2)
    layer = ClipConv3D(16, sizes, strides, groups)

    def convolved_in(dtype):
        def convolved(x, kernel):
            (y,) = layer.compute(tf.cast(x, dtype), tf.cast(kernel, dtype))
            return tf.cast(y, "float32")

        return convolved

    exact = gradients(convolved_in("float32"), x, kernel)
    for found, expected in zip(gradients(convolved_in("bfloat16"), x, kernel), exact, strict=True):
        # Sums are float32 in oneDNN (0.01 seen), bfloat16 where TensorFlow leaves it off (0.04).
        assert np.abs(found - expected).max() <= 0.1 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("dtype", "in_graph"),
    [
        ("float16", False),
        ("bfloat16", False),
        ("bfloat16", True),
        ("float32", False),
        ("float32", True),
        ("float64", False),
    ],
)
@pytest.mark.parametrize("kernels", ["processor's own", "float32 only", "none"])
def test_grouped_gradients_on_any_processor(dtype, kernels, in_graph, monkeypatch):
    """TensorFlow has kernels for them on some processors only, which are hidden here in turn."""
    if kernels != "processor's own":
        own = frame_convolution._has_grouped_gradient
        hidden = {"float32 only": {"float32"}, "none": set()}[kernels]
        monkeypatch.setattr(
            frame_convolution, "_has_grouped_gradient", lambda dtype: dtype in hidden and own(dtype)
        )
    x, kernel = features(2, 3, 5, 6, 8), features(3, 2, 3, 2, 12, seed=2)
    for strides in ((1, 1, 1), (2, 1, 2)):

        def convolved(x, kernel, strides=strides):
            y = convolution.convolve(tf.cast(x, dtype), tf.cast(kernel, dtype), strides)
            return tf.cast(y, "float32")

        convolved = tf.function(convolved) if in_graph else convolved
        expected = gradients(
            lambda x, kernel, strides=strides: keras_convolution(x, kernel, strides, 4), x, kernel
        )
        # What half precision rounds, and how often, differs from processor to processor.
        tolerance = {"float16": 0.01, "bfloat16": 0.05}.get(dtype, 1e-5)
        for found, exact in zip(gradients(convolved, x, kernel), expected, strict=True):
            assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()


@pytest.fixture
def optimized_graphs():
    grappler.turn("on")
    yield
    grappler.turn("off")


@pytest.mark.usefixtures("optimized_graphs")
@pytest.mark.parametrize("channels_of_group", [1, 2])
@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 2)])
def test_a_graph_normalizes_a_grouped_convolution(strides, channels_of_group):
    """Without oneDNN, TensorFlow's graph optimizer merges the two into one that has no groups."""
    x, kernel = features(2, 3, 9, 9, 8), features(1, 3, 3, channels_of_group, 8, seed=2)
    mean, variance = tf.constant(features(8)), tf.constant(np.square(features(8)) + 0.1)

    def normalized(x):
        y = convolution.convolve(x, tf.constant(kernel), strides)
        return normalize_by(y, mean, variance, mean, mean, 1e-3, "relu6")

    in_graph = tf.function(normalized)(tf.constant(x))
    np.testing.assert_allclose(in_graph, normalized(tf.constant(x)), atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("frames", "depth", "reached"), [(1, 3, [1]), (2, 6, [1, 2, 3]), (3, 6, [0, 1, 2, 3, 4])]
)
def test_taps_that_meet_no_frame_have_no_gradient(frames, depth, reached, groups):
    x, kernel = features(1, frames, 4, 4, 4), features(depth, 3, 3, 4 // groups, 4, seed=2)
    layer = ClipConv3D(4, (depth, 3, 3), groups=groups)
    _, _, to_kernel = gradients(lambda x, kernel: layer.compute(x, kernel)[0], x, kernel)
    assert to_kernel.shape == kernel.shape
    assert np.flatnonzero(np.abs(to_kernel).sum(axis=(1, 2, 3, 4))).tolist() == reached


@settings(max_examples=25, deadline=None)
@given(sides=sides, sizes=sizes, strides=strides, groups=st.sampled_from([1, 2]))
def test_gradients_of_any_shape(sides, sizes, strides, groups):
    # Two channels a group: over one, TensorFlow's own Conv3D at times gives wrong numbers where
    # windows leave columns out.
    x, kernel = features(1, *sides, 4), features(*sizes, 4 // groups, 4, seed=2)
    layer = ClipConv3D(4, sizes, strides, groups)
    ours = gradients(lambda x, kernel: layer.compute(x, kernel)[0], x, kernel)
    keras_ = gradients(lambda x, kernel: keras_convolution(x, kernel, strides, groups), x, kernel)
    for one, other in zip(ours, keras_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-4)


# TensorFlow's graph optimizer, which merges Pad, Conv3D and a LeakyReLU and loses the slope.

ACTIVATIONS = {
    "leaky": lambda: keras.layers.LeakyReLU(0.6),
    "relu_with_slope": lambda: keras.layers.ReLU(negative_slope=0.6),
    "relu_with_slope_and_limit": lambda: keras.layers.ReLU(negative_slope=0.6, max_value=1.0),
    "relu_with_threshold": lambda: keras.layers.ReLU(negative_slope=0.6, threshold=0.5),
    "relu": keras.layers.ReLU,
    "relu6": lambda: keras.layers.ReLU(max_value=6.0),
    "elu": keras.layers.ELU,
    "selu": lambda: keras.layers.Activation("selu"),
    "tanh": lambda: keras.layers.Activation("tanh"),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(
    ("sizes", "strides", "padded_before"),
    [((3, 3, 3), (1, 2, 2), False), ((1, 1, 1), (2, 2, 2), True), ((4, 3, 3), (1, 1, 1), False)],
)
def test_a_graph_computes_any_activation_after_it(
    activation, use_bias, sizes, strides, padded_before
):
    """A graph is optimized, eager execution is not."""
    x = features(2, 4, 6, 6, 3)
    before = [keras.layers.ZeroPadding3D(1)] if padded_before else []
    conv = ClipConv3D(4, sizes, strides, use_bias=use_bias)
    layers = [*before, conv, ACTIVATIONS[activation]()]

    def computed(x):
        for layer in layers:
            x = layer(x)
        return x

    computed(x)
    randomize(conv)
    expected = array(computed(x))
    np.testing.assert_allclose(array(tf.function(computed)(x)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [2, 3, (1, 3, 3)])
@pytest.mark.parametrize("strides", [(1, 2, 2), (2, 1, 1)])
def test_a_graph_keeps_padding_before_its_own(sizes, strides):
    """Of two Pads before a Conv3D, the graph optimizer would lose one."""
    x = features(2, 6, 8, 8, 3)
    conv = built(np.pad(x, [(0, 0), *[(1, 1)] * 3, (0, 0)]), 4, sizes, strides)

    def computed(x):
        return conv(keras.layers.ZeroPadding3D(1)(x))

    expected = array(computed(x))
    np.testing.assert_allclose(array(tf.function(computed)(x)), expected, rtol=1e-5, atol=1e-5)


# XLA, which Keras's grouped convolutions need under TensorFlow and which is slow on CPU.


def compiled_functions(graph_def):
    """Names of the operations and functions of a graph that XLA must compile."""
    functions = graph_def.library.function
    nodes = [node for owner in functions for node in owner.node_def]
    attributed = [(f.signature.name, f.attr) for f in functions]
    attributed += [(node.name, node.attr) for node in [*graph_def.node, *nodes]]
    return [name for name, attributes in attributed if attributes["_XlaMustCompile"].b]


def training_step(layer, x):
    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer(x, training=True) ** 2)
        return tape.gradient(loss, [variable.value for variable in layer.trainable_variables])

    layer.build(x.shape)
    return step.get_concrete_function(tf.TensorSpec(x.shape, tf.float32)).graph.as_graph_def()


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("rematerialize", [False, True])
def test_a_resnext_step_needs_no_xla(strides, rematerialize):
    block = BottleneckBlock3D(4, strides, groups=2, rematerialize=rematerialize)
    assert compiled_functions(training_step(block, features(2, 4, 6, 6, 8))) == []


def test_the_search_for_xla_finds_that_of_keras():
    conv = keras.layers.Conv3D(4, 3, padding="same", groups=2)
    assert compiled_functions(training_step(conv, features(1, 2, 4, 4, 4)))


@pytest.mark.export
@pytest.mark.fit
def test_a_resnext_trained_and_exported_needs_no_xla(tmp_path):
    model = models.ResNeXt3D50(
        input_shape=(4, 16, 16, 3),
        num_classes=3,
        stage_blocks=(1,),
        stage_filters=(4,),
        groups=2,
        stem_filters=4,
    )
    clips = noise_clips(2, (4, 16, 16, 3))
    assert np.isfinite(fit_one_step(model, clips, np.array([0, 2])))
    model.export(tmp_path / "saved", verbose=False)
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "saved/saved_model.pb").read_bytes())
    assert len(saved.meta_graphs) == 1
    assert compiled_functions(saved.meta_graphs[0].graph_def) == []


# Initial values.


@pytest.mark.parametrize(
    ("make", "std"),
    [
        # He: 2 over what reads, or what is read, times the taps.
        (lambda: ClipConv3D(64, 3), (2 / (16 * 27)) ** 0.5),
        (lambda: BasicBlock3D(64).convs[0], (2 / (64 * 27)) ** 0.5),
        (lambda: BottleneckBlock3D(64, groups=2).convs[1], (2 / (64 * 27)) ** 0.5),
        (lambda: BottleneckBlock3D(64).convs[2], (2 / 256) ** 0.5),
    ],
)
def test_spread_of_the_initial_values(make, std):
    keras.utils.set_random_seed(0)
    layer = make()
    layer.build((None, 4, 8, 8, 16))
    values = array(layer.kernel)
    assert abs(values.mean()) < 0.05 * std
    assert values.std() == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize("initializer", ["he_normal", keras.initializers.HeNormal()])
def test_two_layers_do_not_share_initial_values(initializer):
    one, other = (ClipConv3D(4, 3, kernel_initializer=initializer) for _ in range(2))
    for layer in (one, other):
        layer.build((None, 4, 8, 8, 4))
    assert not np.any(array(one.kernel) == array(other.kernel))


def test_blocks_do_not_share_initial_values():
    first, second = BasicBlock3D(4), BasicBlock3D(4)
    for block in (first, second):
        block.build((None, 4, 8, 8, 4))
    kernels = [array(conv.kernel) for block in (first, second) for conv in block.convs]
    for index, kernel in enumerate(kernels):
        for other in kernels[index + 1 :]:
            assert not np.any(kernel == other)


# What is refused.


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": 0},
        {"filters": 2.5},
        {"kernel_size": 0},
        {"kernel_size": (3, 3)},
        {"strides": (1, 0, 1)},
        {"groups": 0},
        {"groups": 3},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"ClipConv3D: `.*Received"):
        ClipConv3D(**{"filters": 4, "kernel_size": 3, **wrong})


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="batch, time, height, width, channels"):
        ClipConv3D(4, 3)(features(2, 8, 8, 4))
    with pytest.raises(ValueError, match=r"\(None, None, 8, 8, 4\)"):
        ClipConv3D(4, 3)(keras.Input((None, 8, 8, 4)))
    with pytest.raises(ValueError, match=r"`groups`.*groups=2, 3"):
        ClipConv3D(4, 3, groups=2)(features(2, 4, 8, 8, 3))


def test_numpys_integers_are_whole_numbers():
    layer = ClipConv3D(np.int64(4), np.int32(3), strides=np.int64(2))
    assert tuple(layer(features(1, 4, 4, 4, 2)).shape) == (1, 2, 2, 2, 4)
