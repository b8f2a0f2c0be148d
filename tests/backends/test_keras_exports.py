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


@pytest.mark.parametrize(
    ("networks", "formats"),
    [
        (["t3d"], ["onnx"]),
        pytest.param(list(NETWORKS), ["torch", "onnx", "openvino"], marks=pytest.mark.slow),
    ],
)
def test_pytorch(saved, networks, formats):
    folder = saved(networks)
    forked.run_on_cpu("torch", ["-m", "tests.keras_exports", folder, *formats])
    for name in networks:
        assert_equal(folder / f"{name}.torch.npz", formats)


@pytest.mark.slow
def test_jax(saved):
    """In a process of its own, as Keras needs TensorFlow to write a SavedModel."""
    pytest.importorskip("jax")
    folder = saved(NETWORKS)
    subprocess.run(
        [sys.executable, "-m", "tests.keras_exports", folder, "tf_saved_model"],
        check=True,
        cwd=forked.ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
    )
    for name in NETWORKS:
        assert_equal(folder / f"{name}.jax.npz", ["tf_saved_model"])
