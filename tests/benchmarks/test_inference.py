"""The benchmark runs, all its contenders give the same logits, and it ends in one JSON line."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "inference.py"
CONTENDERS = {
    "keras_float32_folded",
    "torch_float32",
    "onnxruntime_float32",
    "openvino_float32",
}

for package in ("torch", "onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(
        package, reason=f"needs {package}: make test EXTRAS=dev,backends,benchmarks"
    )


@pytest.mark.slow
def test_quick_mode():
    options = ["--quick", "--models", "t3d_tiny", "--contenders", *sorted(CONTENDERS)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert {"cpu_flags", "torch", "onnxruntime", "openvino"} <= set(result["machine"])
    model = result["models"]["t3d_tiny"]
    assert model["unavailable"] == {}
    assert set(model["milliseconds"]) == CONTENDERS
    assert max(model["logits_difference"].values()) < 1e-5
    assert model["torch_to_keras_float32"] > 0
    assert model["openvino_to_keras_float32"] > 0
