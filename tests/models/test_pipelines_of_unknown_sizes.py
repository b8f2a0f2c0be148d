"""Data of `from_generator` and `py_function`, whose shapes TensorFlow knows in part."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import models
from tests.battery import noise_clips

SHAPE = (4, 16, 16, 3)
CLIPS, IDS = noise_clips(4, SHAPE), np.array([0, 1, 1, 0])


def pipeline(shape, clips=CLIPS):
    signature = (tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(
        lambda: zip(clips, IDS, strict=True), output_signature=signature
    )
    return data.batch(2)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model = models.T3D(SHAPE, 2, block_layers=(1,), growth_rate=4, stem_filters=4)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    return model


@pytest.mark.fit
@pytest.mark.parametrize("shape", [(None, 16, 16, 3), (None,) * 4])
def test_fit_evaluate_and_predict(network, shape):
    data = pipeline(shape)
    losses = network.fit(data, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert network.evaluate(data, verbose=0) == network.evaluate(
        tf.data.Dataset.from_tensor_slices((CLIPS, IDS)).batch(2), verbose=0
    )
    expected = np.asarray(network(CLIPS))
    np.testing.assert_allclose(network.predict(data, verbose=0), expected, rtol=0, atol=1e-5)


@pytest.mark.fit
def test_sizes_that_do_not_fit_are_named(network):
    data = pipeline((None,) * 4, CLIPS[:, :3])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2,3,16,16,3\].*\[\?,4,16,16,3\]"):
        network.predict(data, verbose=0)
