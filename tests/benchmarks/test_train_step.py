"""The benchmark runs, its twins are equal, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import NEEDS_TORCH

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "train_step.py"
CONTENDERS = {"keras_float32", "rematerialized_float32", "torch_float32"}

pytest.importorskip("torch", reason=NEEDS_TORCH)


@pytest.mark.slow
def test_quick_mode():
    options = ["--quick", "--models", "t3d_tiny", "--contenders", *sorted(CONTENDERS)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert {"cpu_flags", "torch", "tensorflow", "keras"} <= set(result["machine"])
    assert (result["threads"], result["batch"], result["input_shape"]) == (2, 4, [8, 32, 32, 3])
    model = result["models"]["t3d_tiny"]
    assert model["unavailable"] == {}
    assert set(model["milliseconds"]) == set(model["bytes_per_clip"]) == CONTENDERS
    assert max(model["logits_difference"].values()) < 1e-5
    # The third loss follows two updates: gradients and optimizer are equal too.
    for losses in model["losses"].values():
        assert losses == pytest.approx(model["losses"]["torch_float32"], rel=1e-4)
    assert model["training_float32"] > 0
    assert model["rematerialized_time_ratio"] > 0
    assert {"training_best", "memory_plain_ratio", "memory_rematerialized_ratio"} <= set(model)
