"""The compiled form of a model in memory: made once, up to date, and gone with the model."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_t3d.inference import load_predictor, predict_video
from keras_t3d.inference.compiled_model import compiled
from keras_t3d.layers import ClipConv3D, ClipNormalization
from keras_t3d.models import VideoClassifier
from tests.conftest import counting_frames, write_video
from tests.threads import in_threads

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3)).astype("uint8")


class Counting(keras.layers.Layer):
    """Counts the times that it is traced, or run on backends without traces."""

    calls = 0

    def call(self, x):
        Counting.calls += 1
        return x + 0.0


def network(activation=None, features="linear"):
    inputs = keras.Input((4, 16, 16, 3))
    x = Counting()(ClipConv3D(4, 3)(ClipNormalization()(inputs)))
    x = keras.layers.Activation(features)(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    return VideoClassifier(inputs, keras.layers.Dense(3, activation=activation, name="head")(x))


def test_a_model_in_memory_is_traced_once(tmp_path):
    model, video = network(), write_video(tmp_path / "v.mp4", counting_frames(9, 16, 16))
    Counting.calls = 0
    predictions = [predict_video(model, video) for _ in range(3)]
    predictions.append(predict_video(load_predictor(model), video))
    assert Counting.calls == 1
    assert predictions == [predictions[0]] * 4


def test_threads_that_ask_at_once_trace_once():
    model = network()
    expected = keras.ops.softmax(model(CLIPS))
    Counting.calls = 0

    def ask(thread):
        for _ in range(3):
            found = load_predictor(model).probabilities(CLIPS)
            np.testing.assert_allclose(found, expected, atol=1e-6)

    assert in_threads(ask) == []
    assert Counting.calls == 1


def test_predictors_follow_new_weights_and_layers():
    model = network()
    predictor = load_predictor(model)

    def check():
        expected = keras.ops.softmax(model(CLIPS))
        np.testing.assert_allclose(predictor.probabilities(CLIPS), expected, atol=1e-6)

    check()
    head = model.get_layer("head")
    head.set_weights([3 * w + 1 for w in head.get_weights()])
    check()
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.ones(head.lora_kernel_b.shape))
    check()
    head.activation = keras.activations.softmax
    np.testing.assert_allclose(predictor.probabilities(CLIPS), model(CLIPS), atol=1e-6)


def test_the_compiled_form_is_not_saved_and_goes_with_its_model(tmp_path):
    def used():
        model = network(features="silu")  # TensorFlow registers its gradient, with the graph
        load_predictor(model).probabilities(CLIPS)
        model.save(tmp_path / "m.keras")
        return [
            weakref.ref(kept)
            for kept in (model, compiled(model), model.get_layer("head").kernel.value)
        ]

    gone = used()
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


@pytest.mark.parametrize("activation", ["softmax", None])
def test_probabilities_are_those_of_predict(activation):
    model = network(activation)
    expected = model.predict(CLIPS, verbose=0)
    if activation is None:
        expected = keras.ops.softmax(expected)
    np.testing.assert_allclose(load_predictor(model).probabilities(CLIPS), expected, atol=1e-6)
