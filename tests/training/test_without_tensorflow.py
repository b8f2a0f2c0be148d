"""The same recipe on the JAX backend, in a process that cannot import TensorFlow."""

import json
import shutil

import numpy as np
import pytest

from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.run_directory import read_history
from tests import forked
from tests.conftest import NEEDS_JAX
from tests.training.tiny import write_config

FLAGS = [
    "--data.batch_size=4",
    "--optimizer.accumulation=2",
    "--optimizer.global_clipnorm=0.5",
    "--optimizer.ema=0.9",
    "--precise_bn_batches=2",
    "--checkpoints.every_steps=2",
    "--optimizer.warmup_epochs=0",
    "--epochs=1",
]
PROGRAM = """
import sys
sys.modules["tensorflow"] = None  # importing it fails
from importlib import metadata
version_of = metadata.version
def version(name):
    if "tensorflow" in name:
        raise metadata.PackageNotFoundError(name)
    return version_of(name)
metadata.version = version
from keras_t3d.cli import main
sys.exit(main(sys.argv[1:]))
"""


def train(config, run, devices):
    flags = f"--xla_force_host_platform_device_count={devices} {forked.QUICK_COMPILING}"
    words = ["-c", PROGRAM, "train", "--config", config, "--run-dir", run, *FLAGS]
    return forked.run(words, backend="jax", env={"XLA_FLAGS": flags}, check=True).stdout


@pytest.mark.process
@pytest.mark.backend
def test_two_devices_train_and_one_resumes_the_run(shards, tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    config = write_config(tmp_path / "c.yaml", shards)
    two = tmp_path / "two"
    train(config, two, 2)
    (start,) = json.loads((two / "environment.json").read_text())
    assert start["backend"] == "jax"
    assert "tensorflow" not in start["packages"]
    assert len(start["devices"]) == 2
    (row,) = read_history(two)
    # Each class has 10 training videos, and every one is seen once.
    assert row["mean_class_accuracy"] == pytest.approx(row["top1"])
    assert {path.name for path in (two / "tensorboard").iterdir()} == {"train", "validation"}

    # From the middle of the epoch on, one device computes what two compute.
    one = shutil.copytree(two, tmp_path / "one")
    for path in checkpoint_paths(one)[-2:]:
        path.unlink()
    assert "Resuming after epoch 0 of 1, step 2 of 5" in train(config, one, 1)
    with np.load(checkpoint_paths(one)[-1]) as a, np.load(checkpoint_paths(two)[-1]) as b:
        assert a.files == b.files
        for name in (name for name in a.files if name != "state"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-2, atol=2e-3, err_msg=name)
    (again,) = read_history(one)
    assert again["val_cross_entropy"] == pytest.approx(row["val_cross_entropy"], rel=5e-3)
