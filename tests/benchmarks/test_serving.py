"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import write_video

pytest.importorskip("tensorflow_serving.apis", reason="needs tensorflow-serving-api")

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "serving.py"


def test_quick_mode(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", noise)
    words = ["--quick", "--rounds", "1", "--malformed", "44", "--videos", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["unavailable"] == {}
    assert {"bare", "views", "serving_default", "grpc views", "rest views"} <= set(
        result["milliseconds"]
    )
    assert min(result["milliseconds"].values()) > 0
    assert result["views_to_bare"] > 0
    for found in result["malformed"].values():
        assert found["sent"] == found["refused_with_a_message"] == 44
        assert found["answers_as_before"] is True
    assert result["jpeg"]["videos"] == 1
    assert 0 <= result["jpeg"]["largest_difference"] < 1
