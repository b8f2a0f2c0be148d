"""`keras-t3d predict --windows` and `keras-t3d watch`, as a user meets them."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from keras_t3d import cli
from keras_t3d.data import VideoReader, read_video
from keras_t3d.inference import load_predictor, stream_video
from tests.conftest import counting_frames, write_video
from tests.inference.conftest import write_uneven_video
from tests.inference.test_watching import FakeOpenCV


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of 40 frames, 10 a second, one of 3 frames, and a file that is none."""
    root = tmp_path_factory.mktemp("videos")
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    write_video(root / "a.mp4", noise, fps=10)
    write_video(root / "below" / "b.mp4", counting_frames(3), fps=10)
    (root / "broken.mp4").write_text("no video")
    return root


@pytest.fixture
def run(monkeypatch, capsys, model):
    """Runs a command with the model in memory, whatever file is named."""
    predictor = load_predictor(model)
    monkeypatch.setattr(cli, "_predictor", lambda path: predictor)

    def run_command(*words):
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run_command


def times_and_tops(model, path, **options):
    names = model.class_names
    return [
        (round(w.start, 6), round(w.end, 6), names[w.probabilities.argmax()])
        for w in stream_video(model, path, **options)
    ]


def test_windows_as_json_lines(run, model, folder):
    code, out, _ = run("predict", "m.keras", folder / "a.mp4", "--windows", "--json", "--top", 1)
    *windows, answer = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    # Windows of 15 frames, half a clip (8 frames) apart, the last one with the end.
    expected = times_and_tops(model, folder / "a.mp4")
    assert [(w["start"], w["end"], w["classes"][0]["class"]) for w in windows] == expected
    assert [w["start"] for w in windows] == [0, 0.8, 1.6, 2.4]
    assert set(answer) == {"video", "classes"}
    mean = np.mean([w.probabilities for w in stream_video(model, folder / "a.mp4")], axis=0)
    assert answer["classes"][0]["probability"] == pytest.approx(mean.max(), abs=1e-5)


def test_windows_for_people(run, folder):
    code, out, _ = run("predict", "m", folder / "a.mp4", "--windows", "--hop", 1)
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["0.00", "to", "1.50", "s"],
        ["1.00", "to", "2.50", "s"],
        ["2.00", "to", "3.50", "s"],
    ]
    assert "bright" in lines[1]
    assert lines[5].endswith("a.mp4: mean of 4 windows")


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_windows_of_several_videos_in_a_file(run, model, folder, tmp_path, suffix):
    out_file = tmp_path / f"w.{suffix}"
    code, out, err = run("predict", "m", folder, "--out", out_file, "--hop", 0.5, "--top", 1)
    assert code == 1  # one of them is none
    assert "broken.mp4" in err
    assert "1 of 3 videos could not be read" in err
    assert f"Wrote {out_file}" in out
    a, b = str(folder / "a.mp4"), str(folder / "below" / "b.mp4")
    expected = [
        (video, *window)
        for video in (a, b)
        for window in times_and_tops(model, video, hop_seconds=0.5)
    ]
    if suffix == "json":
        records = json.loads(out_file.read_text())
        got = [(r["video"], r["start"], r["end"], r["classes"][0]["class"]) for r in records]
    else:
        with out_file.open(newline="") as file:
            rows = list(csv.DictReader(file))
        got = [(r["video"], float(r["start"]), float(r["end"]), r["class"]) for r in rows]
    assert got == expected
    assert len({video for video, *_ in got}) == 2


def test_the_same_answer_without_windows_for_a_folder(run, folder):
    code, out, err = run("predict", "m", folder, "--json")
    assert code == 1
    assert [json.loads(line)["video"] for line in out.splitlines()] == [
        str(folder / "a.mp4"),
        str(folder / "below" / "b.mp4"),
    ]
    assert "1 of 3 videos could not be read" in err


def test_a_timeline(run, folder, tmp_path):
    code, out, _ = run(
        *(
            "predict",
            "m",
            folder / "a.mp4",
            "--timeline",
            tmp_path / "t.png",
            "--smoothing",
            "mean:2",
        )
    )
    assert code == 0
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert "mean of 4 windows" in out
    assert f"Wrote {tmp_path / 't.png'}" in out


def test_uneven_frames_keep_their_times(run, folder, tmp_path):
    times = np.cumsum([0.0, *[0.04, 0.3] * 12]).tolist()
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(25), times)
    code, out, _ = run("predict", "m", path, "--windows", "--json")
    windows = [json.loads(line) for line in out.splitlines()[:-1]]
    assert code == 0
    np.testing.assert_allclose(
        [w["start"] for w in windows], [times[0], times[8], times[10]], atol=1e-3
    )
    np.testing.assert_allclose(
        [w["end"] for w in windows], [times[15], times[23], times[-1] + 0.5], atol=1e-3
    )


def test_a_damaged_video_is_scored_as_far_as_it_decodes(run, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", noise, codec="mpeg4")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, out, err = run("predict", "m", tmp_path / "cut.avi", "--windows")
    assert code == 0
    assert len(out.splitlines()) > 3
    assert "damaged" in err
    assert "cut.avi" in err


def last_line(err):
    return [line for line in err.splitlines() if line][-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "m", "{v}/broken.mp4", "--out", "{t}/w.json"], "broken.mp4"),
        (["predict", "m", "{v}/broken.mp4", "{v}/none.mp4", "--out", "{t}/w.csv"], "2 of 2"),
        (["predict", "m", "{v}/a.mp4", "--out", "{t}/w.txt"], ".json or .csv"),
        (["predict", "m", "{v}/a.mp4", "--timeline", "{t}/w.jpg"], ".png"),
        (["predict", "m", "{v}", "--timeline", "{t}/w.png"], "one video"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--hop", "0"], "above 0"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--smoothing", "5"], "mean:5"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--views", "2"], "--views"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--batch-size", "-1"], "batch_size"),
        (["predict", "m", "{v}/a.mp4", "--smoothing", "mean:5"], "add --windows"),
        (["predict", "m", "{v}/a.mp4", "--hop", "0"], "add --windows"),
        (["predict", "m", "{v}/a.mp4", "--out", ""], ".json or .csv"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--batch-size", "0"], "batch_size"),
        (["predict", "m", "{v}/a.mp4", "--top", "0"], "at least 1"),
        (["predict", "m", "{t}"], "folders with videos"),
        (["watch", "m"], "neither"),
        (["watch", "m", "{v}/a.mp4", "--camera", "0"], "both"),
        (["watch", "m", "{v}/a.mp4", "--out", "{v}/a.mp4"], "replace the video"),
        (["watch", "m", "{v}/a.mp4", "--out", "{t}/a.avi"], ".mp4"),
        (["watch", "m", "{v}/broken.mp4", "--out", "{t}/a.mp4"], "broken.mp4"),
        (["watch", "m", "{v}/a.mp4", "--no-display", "--top", "0"], "at least 1"),
        (["watch", "m", "{v}/a.mp4", "--no-display", "--hop", "-1"], "above 0"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, folder, tmp_path, words, said):
    before = sorted(folder.rglob("*"))
    code, _, err = run(*(word.format(v=folder, t=tmp_path) for word in words))
    assert code == 1
    assert last_line(err).startswith("keras-t3d: error: ")
    assert said in last_line(err)
    assert list(tmp_path.iterdir()) == []
    assert sorted(folder.rglob("*")) == before


def test_watch_writes_the_file_and_a_line_a_window(run, folder, tmp_path):
    out_file = tmp_path / "out.mp4"
    code, out, _ = run(
        "watch", "m", folder / "a.mp4", "--out", out_file, "--no-display", "--top", 1
    )
    assert code == 0
    *lines, wrote = out.splitlines()
    # The first frame, looped; 8 frames later again; the windows.
    times = [line.split()[0] for line in lines]
    assert times == ["0:00", "0:00.8", "0:01.4", "0:02.2", "0:03", "0:03.8"]
    assert all(line.split()[1] in ("bright", "dark") for line in lines)
    assert wrote == f"Wrote {out_file}: 40 frames"
    assert len(read_video(out_file).frames) == 40


def test_watch_says_that_sound_is_left_out(run, tmp_path):
    path = write_uneven_video(tmp_path / "x.mp4", counting_frames(3), [0, 0.1, 0.2], sound=True)
    code, out, _ = run("watch", "m", path, "--out", tmp_path / "out.mp4", "--no-display")
    assert code == 0
    assert out.splitlines()[-1].endswith("3 frames, without the sound")


def test_watch_shows_a_window(run, folder, monkeypatch):
    opencv = FakeOpenCV(closed_after=3)
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    code, _, _ = run("watch", "m", folder / "a.mp4")
    assert code == 0
    assert len(opencv.shown) == 3


_NOTES_ORDER = """
import sys
from types import ModuleType

class OpenCV(ModuleType):
    WINDOW_AUTOSIZE, error = 1, Exception

    def namedWindow(self, title, kind):
        assert "av" not in sys.modules
        print("window")

    def destroyAllWindows(self):
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


def test_opencv_opens_its_window_before_pyav_is_loaded(folder):
    # The other way round, the real one never returns.
    done = subprocess.run(
        [sys.executable, "-c", _NOTES_ORDER, "watch", "none.keras", str(folder / "a.mp4")],
        env={**os.environ, "DISPLAY": ":7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "window\n"
    assert "No such model: none.keras" in last_line(done.stderr)


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
import sys, time
import numpy as np
import keras_t3d.data.video as video
from keras_t3d import ClipSpec, cli

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

cli._predictor = lambda path: Predictor()
video.VideoReader = Endless
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_a_playable_file(folder, tmp_path, number):
    words = [
        "watch",
        "m",
        str(folder / "a.mp4"),
        "--out",
        str(tmp_path / "out.mp4"),
        "--no-display",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(5):
            assert process.stdout.readline().startswith("0:00")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Wrote" in out
    assert "stopped" in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert [round(frame.start, 2) for frame in reader.timed()][:3] == [0, 0.04, 0.08]
        assert reader.damage is None
        assert reader.num_decoded >= 5


def test_the_running_line_is_written_over_on_a_terminal(run, folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, _ = run("watch", "m", folder / "a.mp4", "--no-display")
    assert code == 0
    assert out.count("\r") == 6
    assert out.count("\n") == 1
