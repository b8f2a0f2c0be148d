"""Models in models, under every dtype policy: artifacts compute what the float32 model does."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_t3d import models
from keras_t3d.deploy import SavedModelOptions, export_saved_model, export_tflite
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.lowering import lower
from keras_t3d.deploy.network import in_float32
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D, ClipNormalization
from keras_t3d.private_interfaces import computing_in_float32
from tests.deploy.networks import NormalizedConv3D, answers, assert_close, clips_for, randomize

pytestmark = pytest.mark.export

SHAPE = (4, 12, 12, 3)
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "some_layers")


def of_policy(policy, odd=False):
    """Returns a layer's policy; "some_layers" has another one for every second layer."""
    return ("mixed_float16" if odd else "float32") if policy == "some_layers" else policy


def classifier(inputs, x, policy):
    embedding = layers.Activation("linear", dtype=of_policy(policy, True), name="embedding")(x)
    return models.VideoClassifier(inputs, layers.Dense(3, dtype=of_policy(policy))(embedding))


def functional_in_functional(policy):
    inner_input = keras.Input((4, 12, 12, 3))
    x = layers.Conv3D(4, 3, padding="same", dtype=of_policy(policy, True))(inner_input)
    x = ClipBatchNormalization("relu", dtype=of_policy(policy))(x)
    inner = keras.Model(inner_input, layers.GlobalAveragePooling3D(dtype=of_policy(policy))(x))
    inputs = keras.Input(SHAPE)
    x = inner(ClipNormalization(dtype=of_policy(policy, True))(inputs))
    return classifier(inputs, x, policy)


def sequential(policy):
    inputs = keras.Input(SHAPE)
    body = keras.Sequential(
        [
            ClipNormalization(dtype=of_policy(policy)),
            ClipConv3D(4, 3, 2, dtype=of_policy(policy, True)),
            keras.Sequential([layers.BatchNormalization(dtype=of_policy(policy)), layers.ReLU()]),
            layers.GlobalMaxPooling3D(dtype=of_policy(policy, True)),
        ]
    )
    return classifier(inputs, body(inputs), policy)


def named_network(policy):
    backbone = models.T3D(
        input_shape=SHAPE,
        include_top=False,
        block_layers=(1, 1),
        growth_rate=4,
        stem_filters=4,
        transition_filters=4,
        dtype="mixed_bfloat16" if policy == "some_layers" else policy,
    )
    inputs = keras.Input(SHAPE)
    return classifier(inputs, backbone(inputs), policy)


def two_levels(policy):
    middle_input = keras.Input(SHAPE)
    inner_input = keras.Input((4, 12, 12, 4))
    body = NormalizedConv3D(4, dtype=of_policy(policy, True))(inner_input)
    inner = keras.Model(inner_input, layers.Add(dtype=of_policy(policy))([body, inner_input]))
    x = ClipConv3D(4, 3, dtype=of_policy(policy))(middle_input)
    middle = keras.Model(middle_input, inner(inner(x)))
    inputs = keras.Input(SHAPE)
    x = middle(ClipNormalization(dtype=of_policy(policy))(inputs))
    return classifier(inputs, layers.GlobalAveragePooling3D()(x), policy)


def shared_layer(policy):
    """One convolution reads the clip in the model, and features in a model within it."""
    conv = ClipConv3D(3, 3, dtype=of_policy(policy, True))
    inner_input = keras.Input(SHAPE)
    inner = keras.Model(inner_input, layers.ReLU(dtype=of_policy(policy))(conv(inner_input)))
    inputs = keras.Input(SHAPE)
    x = inner(conv(ClipNormalization(dtype=of_policy(policy))(inputs)))
    return classifier(inputs, layers.GlobalAveragePooling3D()(inner(x)), policy)


KINDS = (functional_in_functional, sequential, named_network, two_levels, shared_layer)


def policies_of(model):
    return [layer.dtype_policy for layer in model._flatten_layers()]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_graphs_compute_in_float32(kind, policy):
    exact = randomize(kind("float32"))
    model = kind(policy)
    model.set_weights(exact.get_weights())
    if policy == "bfloat16":  # which rounds the weights too
        exact.set_weights([np.asarray(weight, np.float32) for weight in model.get_weights()])
    clips = clips_for(model, 2)
    expected = answers(exact, clips)
    before = policies_of(model)
    assert_close(in_float32(model)(clips, training=False), expected)
    assert_close(tf.function(fold(model))(clips), expected)
    lowered = tf.function(lower(model))
    for clip, logits in zip(clips, expected, strict=True):
        assert_close(lowered(clip.astype("float32")), logits[None])
    assert policies_of(model) == before


def test_threads_do_not_end_each_others_float32():
    model = two_levels("mixed_bfloat16")
    clips = clips_for(model, 2)
    expected = np.asarray(in_float32(model)(clips))
    is_in, both_are_in = threading.Event(), threading.Event()

    def leave_early():
        with computing_in_float32(model):
            is_in.set()
            both_are_in.wait(0.3)  # the other one waits

    first = threading.Thread(target=leave_early)
    first.start()
    is_in.wait()
    with computing_in_float32(model):
        both_are_in.set()
        first.join()
        found = np.asarray(model(clips))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.export
@pytest.mark.parametrize("frozen", [True, False])
def test_saved_model(frozen, tmp_path):
    model = randomize(named_network("mixed_float16"))
    options = SavedModelOptions(frozen=frozen)
    report = export_saved_model(model, tmp_path / "nested", clips_for(model, 2), options=options)
    assert report.largest_difference < 1e-6


@pytest.mark.export
@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic", "int8"])
def test_tflite(quantization, tmp_path):
    model = randomize(two_levels("mixed_bfloat16"))
    path = tmp_path / "nested.tflite"
    report = export_tflite(model, path, quantization, clips_for(model, 3))
    assert report.largest_difference < {"none": 1e-5, "float16": 1e-2}.get(quantization, 0.05)
