"""Exports of networks that return probabilities, and refusals of those that return neither."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_t3d.deploy import ExportError, export_saved_model, export_tflite
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation import evaluate
from keras_t3d.inference import load_predictor
from keras_t3d.layers import ClipBatchNormalization, ClipConv3D, ClipNormalization
from keras_t3d.models import VideoClassifier, outputs
from tests.deploy.networks import clips_for, randomize

pytestmark = pytest.mark.export


def network(head, dtype=None, **options):
    inputs = keras.Input((4, 16, 16, 3))
    x = ClipNormalization(dtype=dtype)(inputs)
    x = ClipBatchNormalization("relu", dtype=dtype)(ClipConv3D(8, 3, dtype=dtype)(x))
    x = layers.GlobalAveragePooling3D(name="embedding", dtype=dtype)(x)
    return randomize(VideoClassifier(inputs, head(x), **options))


def by_activation(x):
    return layers.Dense(3, activation="softmax", name="head")(x)


def by_layer(x):
    return layers.Softmax()(layers.Dense(3, name="head")(x))


def average(x):
    heads = [layers.Dense(3, activation="softmax", name=f"head{n}")(x) for n in range(2)]
    return layers.Identity()(layers.Average()(heads))


def of_one_score(x):
    score = layers.Dense(1, activation="sigmoid", name="head")(x)
    return layers.Concatenate()([1 - score, score])


def clipped(x):
    return keras.ops.clip(by_activation(x), 0.01, 1.0)


@pytest.mark.parametrize("head", [by_activation, by_layer, average, of_one_score])
def test_both_exports_return_what_predict_returns(head, tmp_path):
    model = network(head)
    clips = clips_for(model, 4)
    expected = model.predict(clips, verbose=0)
    assert expected.max() > 0.7  # a second softmax would stay below 0.58
    exported = export_saved_model(model, tmp_path / "served", clips)
    lite = export_tflite(model, tmp_path / "m.tflite", calibration=clips)
    assert max(exported.largest_difference, lite.largest_difference) < 1e-5
    for path in (exported.path, lite.path):
        np.testing.assert_allclose(load_predictor(path).probabilities(clips), expected, atol=1e-5)


def test_clipped_probabilities(tmp_path):
    model = network(clipped)
    clips = clips_for(model, 2)
    expected = model.predict(clips, verbose=0)
    report = export_saved_model(model, tmp_path / "served", clips)
    found = load_predictor(report.path).probabilities(clips)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("head", [by_activation, of_one_score])
def test_eight_bits(head, tmp_path):
    model = network(head)
    clips = clips_for(model, 8)
    report = export_tflite(model, tmp_path / "m.tflite", "int8", calibration=clips)
    expected = model.predict(clips, verbose=0)
    found = load_predictor(report.path).probabilities(clips)
    assert report.quantized.correlation > 0.98
    assert report.largest_difference == pytest.approx(np.abs(found - expected).max(), abs=1e-5)
    assert report.largest_difference < 0.1


@pytest.mark.parametrize("unit", ["labels", "one score", "one logit", "unknown"])
def test_other_outputs_are_refused_everywhere(unit, tmp_path, shards):
    activations = {"labels": (3, "sigmoid"), "one score": (1, "sigmoid"), "one logit": (1, None)}
    units, activation = activations.get(unit, (3, "tanh"))
    model = network(layers.Dense(units, activation=activation))
    clips = clips_for(model, 2)
    for refused in (
        lambda: load_predictor(model),
        lambda: evaluate(model, shards, "test", tmp_path / "report"),
        lambda: export_saved_model(model, tmp_path / "served", clips),
        lambda: export_tflite(model, tmp_path / "m.tflite", calibration=clips),
        lambda: export_tflite(model, tmp_path / "m.tflite", "int8", calibration=clips),
    ):
        with pytest.raises(InvalidArgumentError, match=f"Received: '{model.name}'") as error:
            refused()
        assert error.value.argument == "model"
    assert list(tmp_path.iterdir()) == []


def test_the_check_does_not_rely_on_what_is_found(tmp_path, monkeypatch):
    """If a softmax were overlooked, the second one would be a difference."""
    model = network(by_activation)
    clips = clips_for(model, 2)
    monkeypatch.setattr("keras_t3d.models.video_classifier.find_outputs", lambda model: "logits")
    with pytest.raises(ExportError, match="differ"):
        export_saved_model(model, tmp_path / "served", clips)
    with pytest.raises(ExportError, match="differ"):
        export_tflite(model, tmp_path / "m.tflite", calibration=clips)


def test_mixed_precision(tmp_path):
    model = network(by_activation, dtype="mixed_bfloat16")
    clips = clips_for(model, 2)
    exported = export_saved_model(model, tmp_path / "served", clips)
    views = tf.saved_model.load(str(exported.path)).signatures["views"]
    found = views(clips=tf.constant(clips))["probabilities"]
    np.testing.assert_allclose(found, model.predict(clips, verbose=0), atol=0.05)
    assert outputs.find_outputs(model) == "probabilities"
