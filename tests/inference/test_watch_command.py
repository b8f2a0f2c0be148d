"""`keras-t3d watch` as users run it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from keras_t3d.data import VideoError, VideoReader, read_video
from keras_t3d.inference.window_prediction import WindowPredictor
from tests.conftest import counting_frames
from tests.inference.conftest import write_uneven_video
from tests.inference.fake_opencv import FakeOpenCV


def last_line(err):
    return [line for line in err.splitlines() if line][-1]


def test_watch_writes_the_file_and_a_line_per_window(run, folder, tmp_path):
    out_file = tmp_path / "out.mp4"
    code, out, _ = run(
        "watch", "m", folder / "a.mp4", "--out", out_file, "--no-display", "--top", 1
    )
    assert code == 0
    *lines, wrote = out.splitlines()
    # Windows of 15 frames, 8 apart, are told with their last frame.
    assert [line.split()[0] for line in lines] == ["0:01.4", "0:02.2", "0:03", "0:03.8"]
    assert all(line.split()[1] in ("bright", "dark") for line in lines)
    assert wrote == f"Wrote {out_file}: 40 frames"
    assert len(read_video(out_file).frames) == 40


def test_watch_reports_that_sound_is_left_out(run, tmp_path):
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(3), [0, 0.1, 0.2], sound=True)
    code, out, _ = run("watch", "m", path, "--out", tmp_path / "out.mp4", "--no-display")
    assert code == 0
    assert out.splitlines()[-1].endswith("3 frames, without the sound")


@pytest.fixture
def opencv(monkeypatch):
    opencv = FakeOpenCV()
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    return opencv


def test_watch_shows_a_window(run, folder, opencv):
    opencv.closed_after = 3
    code, _, _ = run("watch", "m", folder / "a.mp4")
    assert code == 0
    assert len(opencv.shown) == 3
    assert max(opencv.waits) > 50  # a file's pictures come at their times


def test_camera_frames_are_shown_at_once(run, folder, opencv, monkeypatch):
    monkeypatch.setattr("keras_t3d.inference.Camera", lambda number: VideoReader(folder / "a.mp4"))
    code, _, _ = run("watch", "m", "--camera", "0")
    assert code == 0
    assert len(opencv.shown) == 40
    assert set(opencv.waits) == {1}


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_scores_equal_those_of_predict(run, folder, tmp_path, suffix):
    watched, predicted = tmp_path / f"w.{suffix}", tmp_path / f"p.{suffix}"
    video = folder / "a.mp4"
    more = ("--hop", 0.5, "--smoothing", "mean:2", "--top", 2)
    code, out, _ = run("watch", "m", video, "--no-display", "--scores", watched, *more)
    assert code == 0
    assert f"Wrote {watched}: 6 windows" in out.splitlines()
    assert run("predict", "m", video, "--windows", "--out", predicted, *more)[0] == 0
    assert watched.read_text() == predicted.read_text()


def test_a_timeline(run, folder, tmp_path):
    timeline = tmp_path / "new" / "t.png"
    code, out, _ = run("watch", "m", folder / "a.mp4", "--no-display", "--timeline", timeline)
    assert code == 0
    assert out.splitlines()[-1] == f"Wrote {timeline}"
    assert timeline.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in timeline.parent.iterdir()] == ["t.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scores", "{t}/w.txt"], ".json or .csv"),
        (["--scores", ""], ".json or .csv"),
        (["--timeline", "{t}/w.jpg"], ".png"),
    ],
)
def test_invalid_paths_fail_before_anything_is_written(run, folder, tmp_path, words, said):
    words = [word.format(t=tmp_path) for word in words]
    code, _, err = run(
        "watch", "m", folder / "a.mp4", "--no-display", "--out", tmp_path / "o.mp4", *words
    )
    assert code == 1
    assert said in last_line(err)
    assert list(tmp_path.iterdir()) == []


class UnpluggedCamera:
    """A camera that yields some frames of a file and fails."""

    def __init__(self, path, count):
        self.reader, self.count = VideoReader(path), count

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.reader.__exit__(*error)

    def timed(self):
        for index, frame in enumerate(self.reader.timed()):
            if index == self.count:
                break
            yield frame
        raise VideoError("The camera stopped (No such device): camera 0")


@pytest.mark.parametrize(
    ("count", "left"), [(0, []), (10, ["o.mp4"]), (40, ["o.mp4", "s.json", "t.png"])]
)
def test_unplugged_camera_leaves_the_frames_so_far(run, folder, tmp_path, monkeypatch, count, left):
    monkeypatch.setattr(
        "keras_t3d.inference.Camera", lambda number: UnpluggedCamera(folder / "a.mp4", count)
    )
    # The model must be as fast as the camera, or no window would be scored.
    monkeypatch.setattr(
        "keras_t3d.inference.watching.BackgroundWindowPredictor",
        lambda predict, _: WindowPredictor(predict),
    )
    code, _, err = run(
        *("watch", "m", "--camera", "0", "--no-display", "--out", tmp_path / "o.mp4"),
        *("--scores", tmp_path / "s.json", "--timeline", tmp_path / "t.png"),
    )
    assert code == 1
    assert "The camera stopped" in last_line(err)
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    if count:
        assert len(read_video(tmp_path / "o.mp4").frames) == count
    if "s.json" in left:
        assert [r["start"] for r in json.loads((tmp_path / "s.json").read_text())] == [
            *(0, 0.8, 1.6, 2.4)
        ]


_NOTES_ORDER = """
import sys
from types import ModuleType

class OpenCV(ModuleType):
    WINDOW_NORMAL, WINDOW_KEEPRATIO, error = 0, 0, AttributeError

    def namedWindow(self, title, kind):
        assert "av" not in sys.modules
        print("window")

    def destroyWindow(self, title):
        assert "av" in sys.modules

class Finder:
    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        return ModuleSpec(name, self) if name == "cv2" else None

    def create_module(self, spec):
        return OpenCV("cv2")

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Finder())
from keras_t3d.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.process
def test_opencv_opens_its_window_before_pyav_is_loaded(folder):
    # In the other order, the real OpenCV never returns.
    done = subprocess.run(
        [sys.executable, "-c", _NOTES_ORDER, "watch", "none.tflite", str(folder / "a.mp4")],
        env={**os.environ, "DISPLAY": ":7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "window\n"
    assert "No such model: none.tflite" in last_line(done.stderr)


def test_watch_without_a_screen(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, err = run("watch", "m", folder / "a.mp4")
    assert code == 1
    assert "pip install 'keras-t3d[watch]'" in last_line(err)
    assert "--no-display" in last_line(err)
    code, _, err = run("watch", "m", folder / "a.mp4", "--out", tmp_path / "out.mp4")
    assert code == 0  # what was asked for is written
    assert "no window is shown" in err
    assert len(read_video(tmp_path / "out.mp4").frames) == 40


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
    clip_spec = ClipSpec(num_frames=2, frame_stride=1, resize=32, crop=32)
    class_names = ("a", "b")
    def probabilities(self, clips):
        return np.full((len(clips), 2), 0.5, np.float32)

class Endless(video.VideoReader):
    def timed(self):
        start = 0.0
        while True:
            time.sleep(0.02)
            yield video.TimedFrame(start, start + 0.04, lambda: np.zeros((32, 32, 3), np.uint8))
            start += 0.04

loading.predictor = lambda path: Predictor()
video.VideoReader = Endless
sys.exit(cli.main(sys.argv[1:]))
"""


def endless(*words):
    return subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, "watch", "m", *map(str, words), "--no-display"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


unix = pytest.mark.skipif(sys.platform == "win32", reason="uses Unix signals and pipes")


@pytest.mark.process
@unix
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_stopping_leaves_complete_files(folder, tmp_path, number):
    files = {"--out": "o.mp4", "--scores": "s.json", "--timeline": "t.png"}
    words = [word for option, name in files.items() for word in (option, tmp_path / name)]
    process = endless(folder / "a.mp4", *words)
    try:
        for _ in range(5):
            assert process.stdout.readline().startswith("0:00")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "Wrote" in out
    assert "stopped" in err
    assert {path.name for path in tmp_path.iterdir()} == set(files.values())
    with VideoReader(tmp_path / "o.mp4") as reader:
        assert [round(frame.start, 2) for frame in reader.timed()][:3] == [0, 0.04, 0.08]
        assert reader.damage is None
        assert reader.num_decoded >= 5
    records = json.loads((tmp_path / "s.json").read_text())
    assert len(records) >= 5
    assert [(r["start"], r["end"]) for r in records[:3]] == [(0, 0.08), (0.04, 0.12), (0.08, 0.16)]


@pytest.mark.process
@unix
def test_closed_output_does_not_stop_writing_files(folder, tmp_path):
    process = endless(folder / "a.mp4", "--out", tmp_path / "o.mp4")
    try:
        assert process.stdout.readline().startswith("0:00")
        process.stdout.close()  # as `| head -1` does
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read()
        process.wait(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert err.split() == ["keras-t3d:", "stopped"]
    assert len(read_video(tmp_path / "o.mp4").frames) >= 20


@pytest.mark.process
@unix
def test_closed_output_stops_a_command_without_files(folder):
    process = endless(folder / "a.mp4")
    try:
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1


def test_running_line_is_overwritten_on_a_terminal(run, folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, _ = run("watch", "m", folder / "a.mp4", "--no-display")
    assert code == 0
    assert out.count("\r") == 4
    assert out.count("\n") == 1
