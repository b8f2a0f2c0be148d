"""The benchmark runs, finds the same bytes, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "view.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the machine from /proc")
@pytest.mark.slow
def test_quick_mode():
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    (view,), (colours,) = result["views"].values(), result["colours"].values()
    assert view["same_bytes"] is colours["same_bytes"] is True
    assert view["row_by_row_to_numpy"] > 0
    assert colours["new_to_kept"] > 0
