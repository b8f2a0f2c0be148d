"""`keras-t3d predict --out` keeps the windows scored so far, whatever stops it."""

import csv
import json
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

_ENDLESS = """
import signal, sys, time
# A background process may have inherited ignored signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
import numpy as np
import keras_t3d.data.video.reader as video
from keras_t3d import ClipSpec, cli
from keras_t3d.cli import loading

class Predictor:
    clip_spec = ClipSpec(num_frames=NUM_FRAMES, frame_stride=1, resize=32, crop=32)
    class_names = ("a", "b")
    def probabilities(self, clips):
        print("scored", flush=True)
        return np.full((len(clips), 2), 0.5, np.float32)

class Endless(video.VideoReader):
    def timed(self):
        start = 0.0
        while True:
            time.sleep(0.02)
            if start > 0.5:
                print("decoding", flush=True)
            yield video.TimedFrame(start, start + 0.04, lambda: np.zeros((32, 32, 3), np.uint8))
            start += 0.04

loading.predictor = lambda path: Predictor()
video.VideoReader = Endless
sys.exit(cli.main(sys.argv[1:]))
"""

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")


def start(folder, num_frames, *words):
    code = _ENDLESS.replace("NUM_FRAMES", str(num_frames))
    return subprocess.Popen(
        [sys.executable, "-c", code, "predict", "m", str(folder / "a.mp4"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_after(process, line, times, number):
    """Sends a signal after a line was printed so many times; returns the remaining output."""
    try:
        while times:
            said = process.stdout.readline()
            assert said, process.stderr.read()
            times -= said == f"{line}\n"
        process.send_signal(number)
        return process.communicate(timeout=120)
    finally:
        process.kill()


@needs_signals
@pytest.mark.parametrize(
    ("number", "status", "suffix"), [(signal.SIGINT, 130, "csv"), (signal.SIGTERM, 143, "json")]
)
def test_stopping_keeps_the_windows_scored(folder, tmp_path, number, status, suffix):
    file, picture = tmp_path / f"w.{suffix}", tmp_path / "t.png"
    process = start(folder, 2, "--out", file, "--timeline", picture)
    out, err = stop_after(process, "scored", 5, number)
    assert process.returncode == status
    assert f"Wrote {file}" in out
    assert "stopped" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.png", file.name]
    if suffix == "json":
        starts = [record["start"] for record in json.loads(file.read_text())]
    else:
        with file.open(newline="") as rows:
            starts = [float(row["start"]) for row in csv.DictReader(rows)][::2]
    assert len(starts) >= 5
    assert starts == [pytest.approx(0.04 * index) for index in range(len(starts))]
    assert f"scored up to second {starts[-1] + 0.08:.2f}" in err
    assert picture.stat().st_size > 0


@needs_signals
def test_stopping_before_the_first_window_leaves_no_files(folder, tmp_path):
    process = start(folder, 100_000, "--windows", "--out", tmp_path / "w.csv")
    _, err = stop_after(process, "decoding", 1, signal.SIGTERM)
    assert process.returncode == 143
    assert "stopped" in err
    assert list(tmp_path.iterdir()) == []


def test_closed_output_loses_no_file(folder, tmp_path):
    """`predict --windows --out w.csv | head -1`: predictions are printed at the end."""
    code = _ENDLESS.replace("NUM_FRAMES", "2").replace("while True", "while start < 0.2")
    file = tmp_path / "w.csv"
    words = [
        "predict",
        "m",
        *map(str, (folder / "a.mp4", folder / "below" / "b.mp4")),
        "--windows",
        "--out",
        str(file),
    ]
    code = code.replace('print("scored", flush=True)', "pass")
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    with file.open(newline="") as rows:
        assert len(list(csv.DictReader(rows))) == 2 * 2 * 4
