"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "long_video.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.slow
def test_quick_mode():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--hop", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["minutes"] == 0.1
    for job in ("predict", "watch"):
        # 8 seconds: windows of 1.24 s, one a second, and the last.
        assert result[job]["windows"] == 8
        minutes, megabytes = zip(*result[job]["megabytes"], strict=True)
        assert minutes[0] == 0
        assert minutes[1:] == tuple(sorted(minutes[1:]))
        assert len(minutes) == 4
        assert all(10 < measured < 5000 for measured in megabytes)
