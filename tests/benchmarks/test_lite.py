"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import NEEDS_TORCH

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "lite.py"
CONTENDERS = {"litert_int8", "litert_float32", "torch_float32"}

pytest.importorskip("torch", reason=NEEDS_TORCH)


@pytest.mark.slow
def test_quick_mode():
    options = ["--models", "t3d_tiny", "--contenders", *sorted(CONTENDERS), "--threads", "1"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["threads"] == 1
    assert {"tensorflow", "keras", "ai-edge-litert", "cpu_flags"} <= set(result["machine"])
    model = result["models"]["t3d_tiny"]
    assert model["unavailable"] == {}
    assert set(model["milliseconds"]) == CONTENDERS
    assert model["facts"]["litert_float32"]["correlation"] > 0.999999
    assert 0.97 < model["facts"]["litert_int8"]["correlation"] < 0.999999
    assert model["int8_to_float32_size"] == round(
        model["bytes"]["int8"] / model["bytes"]["float32"], 3
    )
    times = model["milliseconds"]
    ratio = times["torch_float32"] / times["litert_int8"]
    assert model["torch_float32_to_int8"] == round(ratio, 3)
    assert model["openvino_to_int8"] is None
    convolution = result["convolution"]
    assert set(convolution["milliseconds"]) == {"conv_3d", "rewritten", "rewritten_int8"}
    assert min(convolution["milliseconds"].values()) > 0
