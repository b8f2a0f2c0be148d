"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "memory.py"


@pytest.mark.slow
def test_quick_mode():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])["results"]
    assert "load .keras and predict" in results
    assert {tuple(result) for result in results.values()} == {
        ("MB per repetition", "seconds per repetition")
    }
