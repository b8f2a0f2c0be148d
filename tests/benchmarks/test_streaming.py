"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "streaming.py"


@pytest.mark.slow
def test_quick_mode():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])["sizes"]["32"]
    assert result["frames_per_step"] == 2
    assert result["unavailable"] == {}
    assert min(result["milliseconds"].values()) > 0
    times = result["milliseconds"]
    ratio = times["windows_int8"] / times["stream_int8"]
    assert result["window_to_step_int8"] == round(ratio, 3)
