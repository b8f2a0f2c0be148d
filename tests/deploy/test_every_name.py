"""Every network of the package at full depth in LiteRT, in floats and int8.

Takes half an hour. resnet3d_152 alone needs 14 GB of memory, which the process mostly keeps: with
less than 32 GB, run the tests in parts with -k. `test_quantization.py` tests small models of every
family.
"""

import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.deploy import export_tflite
from keras_t3d.deploy.tflite_content import TOLERANCES
from keras_t3d.deploy.tflite_operations import list_ops
from tests.deploy.networks import clips_for

pytestmark = [pytest.mark.export, pytest.mark.slow]


@pytest.mark.parametrize("name", models.list_models())
def test_probabilities_equal_keras(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = models.create(name, input_shape=(16, 64, 64, 3), num_classes=20)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # statistics that are not the first ones, and clear answers
        if weight.path.endswith(("moving_mean", "beta")):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    clips = clips_for(model, 4)
    floats = export_tflite(model, tmp_path / "floats.tflite", calibration=clips)
    assert floats.largest_difference < TOLERANCES["none"]
    whole = export_tflite(model, tmp_path / "whole.tflite", "int8", calibration=clips)
    assert whole.quantized.correlation >= 0.99
    for report in (floats, whole):
        assert not [op for op in list_ops(report.path) if op.startswith("CUSTOM")]
    # Names and scales take their place whatever the weights: a third of what t3d_tiny has.
    assert whole.num_bytes < 0.27 * floats.num_bytes + 100_000
