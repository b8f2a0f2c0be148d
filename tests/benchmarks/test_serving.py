"""The benchmark runs, and its last line is one JSON object."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import NEEDS_SERVING_API, write_video

pytest.importorskip("tensorflow_serving.apis", reason=NEEDS_SERVING_API)

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "serving.py"


@pytest.mark.slow
def test_quick_mode(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", noise)
    write_video(tmp_path / "still.mp4", noise[:1].repeat(20, 0))
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
    jpeg = result["jpeg"]
    assert jpeg["videos"] == 2
    assert 0 < jpeg["mean_difference"] < jpeg["largest_difference"] < 1  # JPEG loses something
    assert jpeg["same_top_1"] in (0, 0.5, 1)
    assert all(found["mib_before"] > 0 for found in result["malformed"].values())


def test_what_jpeg_costs_is_measured_on_trained_networks(tmp_path):
    words = ["--model", "t3d_tiny", "--videos", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--videos needs a trained network" in done.stderr
