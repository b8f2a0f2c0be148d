"""Two devices teach as one does: clips are compared with those of both."""

import json

import numpy as np
import pytest

from tests import forked
from tests.conftest import NEEDS_JAX

pytestmark = pytest.mark.process
OBJECTIVES = ["FrameClipMatching", "FeatureRegression", "FrameClipContrast"]


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


# Each three quarters of a minute: the papers' always, the others where time is no matter.
@pytest.mark.parametrize(
    "objective",
    [
        pytest.param(name, marks=() if name == "FrameClipMatching" else pytest.mark.slow)
        for name in OBJECTIVES
    ],
)
def test_two_devices_are_one(tmp_path, objective):
    # Of the last 5 clips one device has 4, the other 1. (JAX has no uneven batches.)
    one, two = (taught(tmp_path, devices, objective, validated=13) for devices in (1, 2))
    assert_same(one, two, 1e-5)


@pytest.mark.backend
def test_jax_spreads_a_batch_over_devices(tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    one, two = (taught(tmp_path, devices, "FrameClipMatching", "jax") for devices in (1, 2))
    assert_same(one, two, 1e-5)
    assert_same(taught(tmp_path, 1, "FrameClipMatching"), two, 1e-3)
