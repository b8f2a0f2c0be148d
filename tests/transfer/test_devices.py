"""Two devices teach as one does: clips are compared with those of both."""

import json

import numpy as np
import pytest

from tests import forked
from tests.conftest import NEEDS_JAX

pytestmark = pytest.mark.process


def taught(tmp_path, devices, objective, backend="tensorflow", validated=16):
    out = tmp_path / f"{backend}-{devices}.npz"
    flags = f"--xla_force_host_platform_device_count={devices} {forked.QUICK_COMPILING}"
    words = ["-m", "tests.transfer.steps", devices, out, objective, validated]
    forked.run(words, backend=backend, env={"XLA_FLAGS": flags}, check=True)
    with np.load(out) as content:
        weights = [content[f"w{n}"] for n in range(len(content.files) - 1)]
        return json.loads(str(content["history"])), weights


def assert_same(one, two, tolerance):
    assert one[0].keys() == two[0].keys()
    for key, values in one[0].items():
        np.testing.assert_allclose(two[0][key], values, rtol=tolerance, atol=tolerance, err_msg=key)
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def taught_by_one(tmp_path_factory):
    return taught(tmp_path_factory.mktemp("one"), 1, "FrameClipMatching", validated=13)


def test_two_devices_are_one(taught_by_one, tmp_path):
    # Of the last 5 clips one device has 4, the other 1. (JAX has no uneven batches.)
    two = taught(tmp_path, 2, "FrameClipMatching", validated=13)
    assert_same(taught_by_one, two, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["FeatureRegression", "FrameClipContrast"])
def test_two_devices_are_one_with_other_objectives(tmp_path, objective):
    one, two = (taught(tmp_path, devices, objective, validated=13) for devices in (1, 2))
    assert_same(one, two, 1e-5)


@pytest.mark.slow  # tests/optimization/test_learner.py spreads another learner's batch
@pytest.mark.backend
def test_jax_spreads_a_batch_over_devices(taught_by_one, tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    one, two = (without_validation(*found) for found in (
        taught_by_one, taught(tmp_path, 2, "FrameClipMatching", "jax"),
    ))  # fmt: skip
    assert_same(one, two, 1e-3)


@pytest.mark.slow
@pytest.mark.backend
def test_jax_validates_the_same_on_two_devices(tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    one, two = (taught(tmp_path, devices, "FrameClipMatching", "jax") for devices in (1, 2))
    assert_same(one, two, 1e-5)


def without_validation(history, weights):
    return {key: values for key, values in history.items() if not key.startswith("val_")}, weights
