import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "convert.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.slow
def test_quick_mode_ends_in_one_json_line():
    command = [sys.executable, str(SCRIPT), "--quick"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    assert result["videos"] == 16
    assert result["rate_ratio"] > 0
    assert result["large_videos"] == 2
    assert result["large_ratio_to_ffmpeg"] > 0
    assert result["kills"] == 2
    assert result["identical_after_kills"] is True
    assert 0 < result["peak_megabytes"] < 1000
    assert 0 < result["film_peak_megabytes"] < 1000
