import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "pipeline.py"


def test_quick_mode_ends_in_one_json_line():
    command = [sys.executable, str(SCRIPT), "--quick"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    assert result["videos"] == 16
    assert result["ratio"] > 0
