"""ClipBatchNormalization against that of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.layers import BasicBlock3D, ClipBatchNormalization
from tests.battery import array, gradients_of, randomize

CLIPS, FRAMES = (3, 4, 5, 6, 7), (6, 5, 4, 3)


def features(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * rng.uniform(0.5, 3, shape[-1]) + 1).astype("float32")


def pair(shape, activation=None, **options):
    """Ours and Keras's, with the same weights."""
    ours = ClipBatchNormalization(activation, **options)
    others = {"momentum": 0.9, "epsilon": 1e-5, **options}
    others.pop("synchronized", None)
    keras_ = keras.layers.BatchNormalization(**others)
    for layer in (ours, keras_):
        layer.build(shape)
        randomize(layer)
    return ours, keras_


@pytest.mark.parametrize("shape", [CLIPS, FRAMES])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("synchronized", [False, True])
def test_outputs(shape, activation, training, synchronized):
    ours, keras_ = pair(shape, activation, synchronized=synchronized)
    x = features(*shape)
    expected = array(keras_(x, training=training))
    expected = np.maximum(expected, 0) if activation else expected
    np.testing.assert_allclose(array(ours(x, training=training)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [CLIPS, FRAMES, (1, 1, 1, 2, 3)])
@pytest.mark.parametrize("synchronized", [False, True])
def test_moving_averages_after_several_steps(shape, synchronized):
    """They average the biased variance, which few values tell from the unbiased one."""
    ours, keras_ = pair(shape, momentum=0.7, synchronized=synchronized)
    for step in range(4):
        x = features(*shape, seed=step)
        ours(x, training=True)
        keras_(x, training=True)
    for one, other in zip(ours.weights, keras_.weights, strict=True):
        np.testing.assert_allclose(array(one), array(other), rtol=1e-5, atol=1e-6)


def test_moving_averages_by_hand():
    layer = ClipBatchNormalization(momentum=0.75)
    layer(np.array([1.0, 3.0], "float32").reshape(2, 1, 1, 1, 1), training=True)
    assert array(layer.moving_mean).tolist() == [0.5]  # 0.75 * 0 + 0.25 * 2
    assert array(layer.moving_variance).tolist() == [1.0]  # 0.75 * 1 + 0.25 * 1


@pytest.mark.parametrize("shape", [CLIPS, FRAMES])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_gradients(shape, activation):
    ours, keras_ = pair(shape, activation)
    x, weights = features(*shape), features(*shape, seed=1)

    def gradients(layer):
        clips = tf.constant(x)
        variables = [variable.value for variable in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(clips)
            y = layer(clips, training=True)
            y = tf.nn.relu(y) if activation and layer is keras_ else y
            loss = tf.reduce_sum(y * weights)
        return tape.gradient(loss, [clips, *variables])

    for one, other in zip(gradients(ours), gradients(keras_), strict=True):
        scale = np.abs(array(other)).max()
        np.testing.assert_allclose(array(one), array(other), rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_frozen_it_normalises_by_its_averages(activation):
    layer, _ = pair(CLIPS, activation)
    x = features(*CLIPS)
    in_inference = array(layer(x, training=False))
    before = [array(weight) for weight in layer.weights]
    layer.trainable = False
    assert np.array_equal(array(layer(x, training=True)), in_inference)
    for weight, value in zip(layer.weights, before, strict=True):
        assert np.array_equal(array(weight), value)
    layer.trainable = True
    assert not np.array_equal(array(layer(x, training=True)), in_inference)


@pytest.mark.parametrize("rematerialize", [False, True])
def test_frozen_in_a_block_that_trains(rematerialize):
    """As in fine-tuning: the averages stay, convolutions and what is not frozen learn."""
    x = features(2, 4, 5, 5, 3)
    block = BasicBlock3D(4, strides=2, rematerialize=rematerialize)
    block.build(x.shape)
    for norm in (*block.norms, block.shortcut_bn):
        norm.trainable = False
    averages = [array(weight) for weight in block.non_trainable_weights]
    found = gradients_of(block, x)
    assert len(found) == 3  # the kernels
    assert all(np.any(array(gradient)) for _, gradient in found)
    for weight, value in zip(block.non_trainable_weights, averages, strict=True):
        assert np.array_equal(array(weight), value)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_statistics_are_exact(policy):
    """Statistics of half-precision clips are float32's of the same values."""
    x = array(keras.ops.cast(features(*CLIPS) + 20, policy.removeprefix("mixed_")))
    layer = ClipBatchNormalization(dtype=policy, momentum=0.0)
    layer(x, training=True)
    np.testing.assert_allclose(array(layer.moving_mean), x.mean(axis=(0, 1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(
        array(layer.moving_variance), x.var(axis=(0, 1, 2, 3)), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("synchronized", [False, True])
@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}])
def test_without_scale_or_offset(options, synchronized, training):
    ours, keras_ = pair(CLIPS, synchronized=synchronized, **options)
    x = features(*CLIPS)
    expected = array(keras_(x, training=training))
    np.testing.assert_allclose(array(ours(x, training=training)), expected, rtol=1e-4, atol=1e-5)
    assert [weight.name for weight in ours.weights] == [weight.name for weight in keras_.weights]


def test_all_options_of_keras_are_in_the_configuration():
    options = {
        "center": False,
        "gamma_initializer": "zeros",
        "moving_variance_initializer": "zeros",
        "gamma_regularizer": keras.regularizers.L2(0.5),
        "gamma_constraint": "non_neg",
    }
    layer = ClipBatchNormalization("relu", **options)
    again = ClipBatchNormalization.from_config(layer.get_config())
    for copy in (layer, again):
        copy.build(CLIPS)
        copy.gamma.assign(np.full(7, 2.0))
        assert array(copy.losses[0]) == 14.0  # 0.5 * 7 * 2^2
    assert again.get_config() == layer.get_config()
    assert isinstance(again.gamma_initializer, keras.initializers.Zeros)
    assert isinstance(again.gamma_constraint, keras.constraints.NonNeg)
    assert again.beta is None


@pytest.mark.parametrize("wrong", [{"axis": 1}, {"axis": 4}, {"renorm": True}])
def test_options_that_it_does_not_compute_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"`{name}`.*Received: {value}"):
        ClipBatchNormalization(**wrong)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_pure_half_precision_normalises_in_float32(policy):
    x = array(keras.ops.cast(features(*CLIPS), policy))
    layer = ClipBatchNormalization(dtype=policy, momentum=0.5)
    y = array(layer(x, training=True))
    mean, std = x.mean(axis=(0, 1, 2, 3)), x.std(axis=(0, 1, 2, 3))
    np.testing.assert_allclose(y, (x - mean) / std, rtol=0, atol=0.02)
    np.testing.assert_allclose(array(layer.moving_mean), mean / 2, rtol=0.01, atol=0.01)


def test_wrong_activations_are_refused():
    with pytest.raises(ValueError, match=r"activation.*'tanh'"):
        ClipBatchNormalization("tanh")
