"""The benchmark runs on one device and on two, and its figures follow from what it timed."""

import json
import os
import pathlib
import statistics
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_quick_mode_on_one_device_and_two():
    command = [sys.executable, str(BENCHMARKS / "train_loop.py"), "--quick", "--devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["network"] == "t3d_tiny"
    assert result["input_shape"] == [8, 32, 32, 3]
    assert set(result["devices"]) == {"1", "2"}
    for count, figures in result["devices"].items():
        assert len(figures["names"]) == int(count)
        assert figures["steps"] == 4
        assert len(figures["bare_runs"]) == len(figures["loop_runs"]) + 1 == 2
        ratio = statistics.mean(figures["bare_runs"]) / figures["loop_clips_per_second"]
        assert figures["overhead_percent"] == pytest.approx(100 * (ratio - 1), abs=0.2)
        clips = 4 * figures["steps"] * int(count)
        seconds = clips / figures["loop_clips_per_second"]
        assert figures["training_seconds"] == pytest.approx(seconds, rel=0.01)
        assert 0 <= figures["data_wait"] <= 1
        assert figures["validation_seconds"] > 0
        assert figures["files_seconds"] > 0
    rates = [result["devices"][count]["loop_clips_per_second"] for count in ("1", "2")]
    assert result["devices"]["2"]["to_one_device"] == pytest.approx(rates[1] / rates[0], abs=1e-3)


def test_figures_come_from_the_runs_own_files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import train_loop

    (tmp_path / "history.csv").write_text(
        "epoch,clips_per_second,data_wait,seconds\n"
        "1,1,0.9,99\n"  # compiles: left out
        "2,10,0.1,12\n"
        "3,20,0.3,7\n"
    )
    (tmp_path / "checkpoints").mkdir()
    for step, ended in ((10, 1000), (20, 1013), (30, 1023)):
        path = tmp_path / "checkpoints" / f"step-{step:08d}.npz"
        path.touch()
        os.utime(path, (ended, ended))
    assert train_loop._figures(tmp_path, clips=100) == pytest.approx(
        {
            "loop_clips_per_second": 15,
            "data_wait": 0.2,
            "training_seconds": 7.5,  # of 10 and 5
            "validation_seconds": 2,  # of 12 - 10 and 7 - 5
            "files_seconds": 2,  # of 13 - 12 and 10 - 7
        }
    )


@pytest.mark.parametrize("words", [["--epochs", "1"], ["--devices", "0"], ["--steps", "0"]])
def test_refuses_what_cannot_be_measured(words, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import train_loop

    with pytest.raises(SystemExit):
        train_loop._options(words)
    assert f"{words[0]} must be at least" in capsys.readouterr().err
