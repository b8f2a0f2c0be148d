"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "streaming.py"


def run_quickly(*words):
    words = [sys.executable, str(SCRIPT), "--quick", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (network,) = json.loads(done.stdout.splitlines()[-1])["networks"].values()
    return network


@pytest.mark.slow
def test_quick_mode():
    result = run_quickly()
    assert result["frames_per_step"] == 2
    assert result["unavailable"] == {}
    assert min(result["milliseconds"].values()) > 0
    times = result["milliseconds"]
    ratio = times["windows_int8"] / times["stream_int8"]
    assert result["window_to_step_int8"] == round(ratio, 3)


@pytest.mark.slow
def test_memory_after_each_tenth_of_the_steps():
    megabytes = run_quickly("--steps", "20")
    assert len(megabytes) == 11
    assert min(megabytes) > 0
