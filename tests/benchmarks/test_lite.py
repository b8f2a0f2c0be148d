"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "lite.py"


def test_quick_mode():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--threads", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["model"] == "t3d_tiny"
    assert result["threads"] == 1
    assert set(result["milliseconds"]) == {"litert", "tensorflow", "conv_3d", "conv_folded"}
    assert min(result["milliseconds"].values()) > 0
    assert result["litert_to_tensorflow"] > 0
    assert {"tensorflow", "keras", "ai_edge_litert", "cpu_flags"} <= set(result["machine"])
