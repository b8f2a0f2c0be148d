import json
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import NEEDS_TORCH

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "pipeline.py"


@pytest.mark.slow
def test_quick_mode_ends_in_one_json_line():
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    command = [sys.executable, str(SCRIPT), "--quick", "--seconds", "4", "--max-seconds", "2"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    assert result["videos"] == 16  # 48 of 40 frames, joined by three to 100
    assert result["max_seconds"] == 2
    assert result["to_best_dataloader"] > 0
    assert result["to_libjpeg"] > 0
    assert {"shards", "torch_pyav", "libjpeg"} <= set(result["clips_per_second"])
