"""Keras's own exports of our networks on JAX and PyTorch compute what the networks do.

`tests/models/test_battery.py` tests those on TensorFlow.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests import forked
from tests.backends.test_backends import NETWORKS, SHAPE
from tests.battery import noise_clips, randomize

pytestmark = [pytest.mark.process, pytest.mark.backend, pytest.mark.export]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns a function that saves networks and clips into a new folder."""

    def save(names):
        folder = tmp_path_factory.mktemp("saved")
        np.save(folder / "clips.npy", noise_clips(2, SHAPE).astype("float32"))
        for name in names:
            network, options = NETWORKS[name]
            model = network(input_shape=SHAPE, num_classes=3, name=name, **options)
            randomize(model).save(folder / f"{name}.keras")
        return folder

    return save


def assert_equal(path, formats):
    with np.load(path) as found:
        missing = set(formats) - set(found)
        for name in set(formats) & set(found):
            np.testing.assert_allclose(found[name], found["model"], rtol=1e-4, atol=1e-4)
    if missing:
        pytest.skip(f"needs the packages of {missing}: make test EXTRAS=dev,backends,benchmarks")


def test_onnx_of_pytorch(saved):
    folder = saved(["t3d"])
    forked.run_on_cpu("torch", ["-m", "tests.keras_exports", folder, "onnx"])
    assert_equal(folder / "t3d.torch.npz", ["onnx"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "formats"),
    [("jax", ["tf_saved_model"]), ("torch", ["torch", "onnx", "openvino"])],
)
def test_every_format(saved, backend, formats):
    """In a process that may import TensorFlow, as Keras and OpenVINO do."""
    pytest.importorskip(backend)
    folder = saved(NETWORKS)
    subprocess.run(
        [sys.executable, "-m", "tests.keras_exports", folder, *formats],
        check=True,
        cwd=forked.ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
    )
    for name in NETWORKS:
        assert_equal(folder / f"{name}.{backend}.npz", formats)
