"""OpenVINO, which shares no code with TensorFlow, computes the same from the SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.export

openvino = pytest.importorskip("openvino", reason="needs OpenVINO: make test EXTRAS=dev,benchmarks")


@pytest.mark.parametrize("shape", [(2, 21, 50, 40, 3), (1, 8, 32, 32, 3)])
def test_serving_default(report, shape):
    network = openvino.Core().read_model(str(report.path))  # its serving_default
    # Names are strings, which its CPU plugin has no outputs of.
    network = openvino.Model([network.output("probabilities")], network.get_parameters())
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(network, "CPU", exact)
    videos = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    served = tf.saved_model.load(str(report.path)).signatures["serving_default"]
    expected = served(clips=tf.constant(videos))["probabilities"].numpy()
    np.testing.assert_allclose(run(videos)[0], expected, rtol=0, atol=1e-4)
