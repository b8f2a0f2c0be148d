"""The streaming form gives, after any number of steps, what the network gives for all frames."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_t3d import models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipConv3D, GlobalDeviationPooling3D
from keras_t3d.streaming import StreamingError, StreamingForm, StreamOptions
from tests.battery import array, noise_clips, randomize
from tests.streaming.networks import FAMILIES, RECIPES, SIZE, from_recipe, of_family


def run(form, clips):
    """Outputs after each step."""
    state, size = form.initial_state(len(clips)), form.frames_per_step
    for first in range(0, clips.shape[1], size):
        outputs, state = form.step(clips[:, first : first + size], state)
        yield array(outputs)


def assert_close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def assert_every_prefix_is_exact(recipe, num_steps):
    form = StreamingForm(randomize(from_recipe(recipe, 16)))
    clips = noise_clips(2, (num_steps * form.frames_per_step, SIZE, SIZE, 3))
    for number, found in enumerate(run(form, clips), start=1):
        length = number * form.frames_per_step
        whole = from_recipe(recipe, length)
        whole.set_weights(form.model.get_weights())
        assert_close(found, array(whole(clips[:, :length], training=False)))
    keras.utils.clear_session()


@settings(max_examples=5, deadline=None, derandomize=True)
@given(recipe=RECIPES, num_steps=st.integers(1, 3))
def test_few_random_networks(recipe, num_steps):
    assert_every_prefix_is_exact(recipe, num_steps)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(recipe=RECIPES, num_steps=st.integers(1, 5))
def test_many_random_networks(recipe, num_steps):
    assert_every_prefix_is_exact(recipe, num_steps)


QUICK = {"t3d": 4, "resnet": 16, "t3d_lite": 2}  # frames per step


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in QUICK else pytest.mark.slow) for each in FAMILIES],
)
def test_named_families(name):
    network = randomize(of_family(name, pooling="avg_deviation"))
    form = StreamingForm(network)
    assert form.frames_per_step == QUICK.get(name, form.frames_per_step)
    clips = noise_clips(2, (16, 32, 32, 3))
    *_, found = run(form, clips)
    assert_close(found, array(network(clips, training=False)))


def test_branches_of_t3d_lite_share_what_the_deepest_keeps():
    form = StreamingForm(of_family("t3d_lite"))
    assert form.state_shapes == {
        "steps": (1,),
        "transition3_depth6_conv": (5, 8, 8, 8),
        "transition4_depth4_conv": (3, 4, 4, 8),
        "transition6_depth4_conv": (3, 2, 2, 16),
        "embedding_mean": (1280,),
    }


# Answers.


def features_and_form(pool, **options):
    """A network that returns its pooled features, of each frame by itself."""
    inputs = keras.Input((4, 2, 2, 3))
    x = ClipConv3D(3, 1, kernel_initializer="ones", use_bias=True)(inputs)
    return StreamingForm(keras.Model(inputs, pool(x)), StreamOptions(**options))


def answers(pool, values, **options):
    """Answers after each of some frames of one value."""
    clips = np.ones((1, len(values), 2, 2, 3)) * np.reshape(values, (1, -1, 1, 1, 1)) / 3
    return np.concatenate([each[:, :1] for each in run(features_and_form(pool, **options), clips)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [6, 3, 4, 3]),
        ({"average_over": "window", "average_steps": 2}, [6, 3, 3, 3]),
        ({"average_over": "exponential", "average_rate": 0.5}, [6, 3, 4.5, 2.25]),
    ],
)
def test_answers(options, expected):
    pool = layers.GlobalAveragePooling3D()
    np.testing.assert_allclose(answers(pool, [6, 0, 6, 0], **options)[:, 0], expected, rtol=1e-6)


def test_answers_of_a_maximum():
    pool = layers.GlobalMaxPooling3D()
    assert answers(pool, [-3, -6, -1, -6, -6]).ravel().tolist() == [-3, -3, -1, -1, -1]
    options = {"average_over": "window", "average_steps": 2}
    assert answers(pool, [-3, -6, -1, -6, -6], **options).ravel().tolist() == [-3, -3, -1, -1, -6]
    with pytest.raises(StreamingError, match="takes a maximum"):
        answers(pool, [1], average_over="exponential")


@pytest.mark.parametrize(
    ("name", "value"), [("average_over", "max"), ("average_rate", 1.0), ("average_steps", 0)]
)
def test_options_are_checked(name, value):
    with pytest.raises(InvalidArgumentError, match=f"`{name}`.*Received: {value!r}"):
        StreamOptions(**{name: value})


# Wrong inputs.


def test_states_of_other_models_are_refused():
    form = StreamingForm(of_family("t3d_lite"))
    frames, state = noise_clips(1, (2, 32, 32, 3)), form.initial_state()
    deep = state.pop("transition3_depth6_conv")
    with pytest.raises(InvalidArgumentError, match=r"`state`.*transition3_depth6_conv missing"):
        form.step(frames, state)
    state["transition3_depth6_conv"] = deep[:, 1:]
    with pytest.raises(InvalidArgumentError, match=r"depth6_conv \(4, 8, 8, 8\)"):
        form.step(frames, state)


def test_other_numbers_of_frames_are_refused():
    form = StreamingForm(of_family("t3d_lite"))
    with pytest.raises(InvalidArgumentError, match=r"`frames`.*2, 32, 32, 3.*\(1, 3, 32, 32, 3\)"):
        form.step(noise_clips(1, (3, 32, 32, 3)), form.initial_state())


# What cannot stream.


def test_networks_that_are_not_causal():
    with pytest.raises(StreamingError, match=r"'conv' is not causal.*causal=True"):
        StreamingForm(of_family("t3d", causal=False))
    pool = GlobalDeviationPooling3D(name="deviation")
    with pytest.raises(StreamingError, match="'deviation' is not causal"):
        features_and_form(pool)


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (layers.Conv3D(2, 3, padding="same"), "pads time"),
        (layers.MaxPooling3D(2, 1), "reads earlier steps"),
        (layers.ZeroPadding3D(1), "pads time"),
        (layers.UpSampling3D(), "may read a whole clip"),
        (layers.Concatenate(axis=1), "computes axis 1"),
    ],
)
def test_layers_that_read_other_frames(layer, problem):
    inputs = keras.Input((4, 4, 4, 3))
    x = layer([inputs, inputs]) if isinstance(layer, layers.Concatenate) else layer(inputs)
    with pytest.raises(StreamingError, match=f"{layer.name}.*{problem}"):
        StreamingForm(keras.Model(inputs, layers.GlobalAveragePooling3D()(x)))


def test_a_layer_used_twice_has_two_memories():
    inputs = keras.Input((6, 4, 4, 3))
    conv = ClipConv3D(3, (3, 1, 1), causal=True, name="conv")
    model = keras.Model(inputs, layers.GlobalAveragePooling3D()(conv(conv(inputs))))
    form = StreamingForm(randomize(model))
    assert {"conv", "conv__2"} < set(form.state_shapes)
    clips = noise_clips(1, (6, 4, 4, 3))
    *_, found = run(form, clips)
    assert_close(found, array(model(clips)))


def test_mixed_precision_streams_in_float32():
    network = of_family("t3d_lite", dtype="mixed_bfloat16")
    form = StreamingForm(network)
    outputs, state = form.step(noise_clips(1, (2, 32, 32, 3)), form.initial_state())
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert {array(each).dtype for each in state.values()} == {np.dtype("float32")}
    assert isinstance(network, models.T3DLite)
