"""Pointwise layers and functions compute the same in a lowered model, and in files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_t3d.deploy import export_tflite, list_ops
from keras_t3d.deploy.errors import UnsupportedLayerError
from keras_t3d.deploy.lowering import lower
from keras_t3d.models import VideoClassifier
from tests.deploy.networks import answers, assert_close, clips_for, functional, randomize


def assert_same(model):
    clip = clips_for(model, 1)[0].astype(np.float32)
    expected = answers(model, clip[None]).astype(np.float32)[0]
    assert_close(tf.function(lower(model))(clip), expected)


CURVES = {
    "gelu": layers.Activation("gelu"),
    "silu": layers.Conv3D(4, 1, activation="silu"),
    "ops.gelu": lambda x: ops.gelu(x, approximate=False),
    "ops.gelu by tanh": ops.gelu,
    "ops.silu": ops.silu,
}


@pytest.mark.parametrize("name", CURVES)
def test_smooth_activations(name):
    inputs = keras.Input((4, 6, 6, 3))
    x = layers.Conv3D(4, 3)(layers.Rescaling(1 / 128, offset=-1)(inputs))
    assert_same(randomize(keras.Model(inputs, CURVES[name](x))))


@pytest.mark.export
@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_smooth_activations_in_a_file(quantization, tmp_path):
    inputs = keras.Input((4, 8, 8, 3))
    x = layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = layers.Conv3D(8, 3, activation="gelu")(x)
    x = layers.Conv3D(8, 1, activation="silu")(x)
    x = layers.GlobalAveragePooling3D(name="embedding")(x)
    model = randomize(VideoClassifier(inputs, layers.Dense(3)(x)))
    report = export_tflite(model, tmp_path / "m.tflite", quantization, clips_for(model, 4))
    assert {"GELU", "LOGISTIC"} <= set(list_ops(report.path))
    assert report.largest_difference < {"none": 1e-5, "int8": 0.05}[quantization]


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (4, 1, 6, 1), (1, 1, 1, 1, 3), (1, 4, 6, 6, 3)])
def test_rescaling_by_an_array(shape):
    scale, offset = RANDOM.normal(size=(2, *shape)).astype("float32")
    assert_same(functional((4, 6, 6, 3), layers.Rescaling(scale, offset=offset.tolist())))


def test_rescaling_each_clip_of_a_batch_is_refused():
    model = functional((4, 6, 6, 3), layers.Rescaling(np.ones((2, 1, 1, 1, 3)), name="two"))
    with pytest.raises(UnsupportedLayerError, match=r"'two'.*\(2, 1, 1, 1, 3\)"):
        lower(model)(np.zeros((4, 6, 6, 3), "float32"))
