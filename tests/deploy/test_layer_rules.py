"""Layers are found and computed as Keras calls them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.lowering import lower
from keras_t3d.layers import ClipConv3D
from tests.deploy.networks import answers, assert_close, clips_for, randomize


def nested():
    inputs = keras.Input((4, 6, 6, 3))
    return keras.Model(inputs, ClipConv3D(3, 3)(clips=inputs))


BY_KEYWORD = {
    "activation": lambda x: layers.ReLU()(inputs=x),
    "convolution": lambda x: layers.BatchNormalization()(inputs=ClipConv3D(3, 3)(clips=x)),
    "in inference": lambda x: layers.BatchNormalization()(inputs=x, training=False),
    "list": lambda x: layers.Add()(inputs=[x, layers.ReLU()(x)]),
    "model": lambda x: nested()(inputs=x),
    "sequential": lambda x: keras.Sequential([layers.ReLU()])(inputs=x),
}


@pytest.mark.parametrize("name", BY_KEYWORD)
def test_tensors_may_be_passed_by_keyword(name):
    inputs = keras.Input((4, 6, 6, 3))
    x = layers.Conv3D(3, 3, padding="same")(inputs)
    model = randomize(keras.Model(inputs, BY_KEYWORD[name](x)))
    clips = clips_for(model, 1)
    expected = answers(model, clips).astype(np.float32)
    assert_close(tf.function(lower(model))(clips[0].astype(np.float32)), expected[0])
    assert_close(tf.function(fold(model))(clips), expected)
