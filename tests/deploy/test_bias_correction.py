"""The mean error of rounded weights is taken out of biases."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy import integer_conversion
from keras_t3d.deploy.bias_correction import with_corrected_biases
from keras_t3d.deploy.comparison import keras_probabilities
from keras_t3d.deploy.integer_conversion import IntegerConversion
from keras_t3d.deploy.options import TFLiteOptions
from keras_t3d.inference.litert_predictor import LiteRTRunner
from keras_t3d.layers import ClipConv3D, ClipNormalization
from keras_t3d.models import VideoClassifier

pytestmark = pytest.mark.export

SHAPE = (4, 16, 16, 3)


@pytest.fixture(scope="module")
def model():
    """A convolution per channel, whose outputs' means are the logits."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input(SHAPE)
    x = ClipNormalization()(inputs)
    x = keras.layers.ReLU(6)(ClipConv3D(16, (1, 3, 3), name="first")(x))
    depthwise = ClipConv3D(16, (1, 3, 3), groups=16, use_bias=True, name="depthwise")
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(depthwise(x))
    x = keras.layers.Dense(16, kernel_initializer="identity", name="logits")(x)
    model = VideoClassifier(inputs, x)
    kernel = np.random.default_rng(0).uniform(0, 1, depthwise.kernel.shape)
    kernel[0, 1, 1] = 9.0  # so that the others are rounded to few values
    depthwise.kernel.assign(kernel)
    return model


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(1).integers(0, 256, (8, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def conversion(model, clips):
    return IntegerConversion(model, clips)


def mean_error(model, content, clips):
    """Returns the mean error of each logit over the clips, less that of all logits."""
    run = LiteRTRunner(content)
    found = np.log(np.concatenate([run(clip[None]) for clip in clips]) + 1e-12)
    errors = found - np.log(keras_probabilities(model, clips) + 1e-12)
    return (errors - errors.mean(axis=1, keepdims=True)).mean(axis=0)


def test_the_mean_error_of_logits_falls(model, clips, conversion, monkeypatch):
    options = TFLiteOptions("int8")
    corrected = mean_error(model, conversion.convert(options), clips)
    monkeypatch.setattr(integer_conversion, "with_corrected_biases", lambda content, _: content)
    plain = mean_error(model, conversion.convert(options), clips)
    assert np.abs(corrected).mean() < 0.5 * np.abs(plain).mean()


def biases(content):
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = file.subgraphs
    places = [step.inputs[2] for step in graph.operators if len(step.inputs) > 2]
    integers = [p for p in places if graph.tensors[p].type == schema.TensorType.INT32]
    return [
        np.frombuffer(bytes(file.buffers[graph.tensors[place].buffer].data), np.int32)
        for place in integers
    ]


def test_offsets_are_added_in_the_steps_of_the_bias(conversion):
    content = conversion.convert(TFLiteOptions("int8"))
    before = biases(content)
    assert before
    zeros = with_corrected_biases(content, lambda name: np.zeros(1, np.float32))
    for mine, theirs in zip(biases(zeros), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    huge = with_corrected_biases(content, lambda name: np.full(1, 1e30))
    for bias in biases(huge):
        assert (bias == np.iinfo(np.int32).max).all()  # not wrapped
    none = with_corrected_biases(content, lambda name: None)
    for mine, theirs in zip(biases(none), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
