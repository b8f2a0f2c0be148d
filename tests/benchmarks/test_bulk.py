import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "bulk.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.slow
def test_quick_mode_ends_in_one_json_line():
    command = [sys.executable, str(SCRIPT), "--quick"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    assert result["unavailable"] == {}
    assert result["videos"] == 8
    assert result["predict_ratio"] > 0
    assert result["embed_ratio"] > 0
    assert list(result["lists"]) == ["4", "8"]
    assert 0 < result["lists"]["8"]["peak_megabytes"] < 2000
