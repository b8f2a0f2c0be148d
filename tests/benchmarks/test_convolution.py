"""The benchmark runs, its ways give the same, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "convolution.py"


@pytest.mark.slow
def test_quick_mode():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    stem = result["milliseconds"]["7x7x7 stem bfloat16"]
    assert set(stem) == {"forward", "step"}
    assert set(stem["step"]) == {"chosen", "conv_3d", "frames", "stacked_frames"}
    assert set(result["grouped_to_dense_per_multiply_add"]) == {"float32", "bfloat16"}
    assert {"cpu_flags", "tensorflow"} <= set(result["machine"])
