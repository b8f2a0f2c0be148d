import re

import keras
import numpy as np
import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipNormalization


def test_values_by_hand():
    layer = ClipNormalization(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    pixels = np.array([[0, 0, 0], [255, 255, 255], [51, 51, 51]], "uint8")
    expected = [[-1, -1, 0], [1, 3, 1], [-0.6, -0.2, 0.2]]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(pixels)), expected, atol=1e-6)


def test_uint8_and_float_clips_agree():
    pixels = np.arange(256, dtype="uint8").repeat(3).reshape(1, 1, 16, 16, 3)
    layer = ClipNormalization()
    assert np.array_equal(layer(pixels), layer(pixels.astype("float32")))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_computes_in_float32_under_every_policy(policy):
    layer = ClipNormalization(dtype=policy)
    pixels = np.full((1, 1, 1, 1, 3), 119.3, "float32")
    exact = ClipNormalization()(pixels)
    out = layer(pixels)
    assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
    assert np.array_equal(
        keras.ops.convert_to_numpy(keras.ops.cast(out, "float32")),
        keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(exact, out.dtype), "float32")),
    )


def test_config_round_trip():
    layer = ClipNormalization(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), name="pixels")
    again = ClipNormalization.from_config(layer.get_config())
    assert (again.mean, again.std, again.name) == (layer.mean, layer.std, "pixels")


@pytest.mark.parametrize(("argument", "wrong"), [("mean", (0.5, 0.5)), ("std", (0.1, 0.0, 0.1))])
def test_wrong_values_are_refused(argument, wrong):
    with pytest.raises(InvalidArgumentError, match=re.escape(f"{wrong}")) as raised:
        ClipNormalization(**{argument: wrong})
    assert raised.value.argument == argument
