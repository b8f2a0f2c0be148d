"""`keras-t3d predict --windows`, and invalid input to `predict` and `watch`."""

import csv
import json

import numpy as np
import pytest

from keras_t3d import cli
from keras_t3d.cli import loading
from keras_t3d.data import DamagedVideoWarning
from keras_t3d.inference import WindowOptions, predict_video, stream_video
from tests.conftest import counting_frames, write_video
from tests.inference.conftest import RecordingPredictor, write_uneven_video


def times_and_tops(model, path, **options):
    names = model.class_names
    return [
        (round(w.start, 6), round(w.end, 6), names[w.probabilities.argmax()])
        for w in stream_video(model, path, WindowOptions(**options))
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


def test_prediction_is_the_mean_of_unsmoothed_windows(run, model, folder):
    answers = []
    for words in ((), ("--smoothing", "mean:3"), ("--smoothing", "exponential:0.2")):
        code, out, _ = run("predict", "m", folder / "a.mp4", "--windows", "--json", *words)
        assert code == 0
        answers.append([json.loads(line) for line in out.splitlines()])
    assert answers[0][-1] == answers[1][-1] == answers[2][-1]
    assert answers[0][-2] != answers[1][-2]


@pytest.mark.parametrize(("hop", "seconds"), [(2, "0.5"), (1.5, None), (1, None)])
def test_gaps_between_windows_are_reported(run, folder, hop, seconds):
    code, _, err = run("predict", "m", folder / "a.mp4", "--windows", "--hop", hop)
    assert code == 0
    said = f"keras-t3d: {seconds} seconds between windows were not scored: --hop 2 is longer"
    assert err.splitlines() == ([f"{said} than a window: {folder / 'a.mp4'}"] if seconds else [])


@pytest.mark.parametrize("words", [(), ("--windows",), ("--out", "w.csv")])
def test_missing_videos_fail_before_the_model_is_loaded(monkeypatch, capsys, words):
    monkeypatch.setattr(loading, "predictor", lambda path: pytest.fail("was loaded"))
    assert cli.main(["predict", "m.keras", "none.mp4", "gone.mp4", *words]) == 1
    assert "none.mp4, gone.mp4" in last_line(capsys.readouterr().err)


@pytest.mark.parametrize("hop", ["1e-320", "5e-324"])
def test_shortest_hop_scores_one_window_per_frame(run, folder, hop):
    code, out, _ = run("predict", "m", folder / "below" / "b.mp4", "--windows", "--hop", hop)
    assert code == 0
    assert out.splitlines()[2].endswith("b.mp4: mean of 1 window")


def test_windows_as_text(run, folder):
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
    code, out, err = run(
        "predict", "m", folder, "--windows", "--out", out_file, "--hop", 0.5, "--top", 1
    )
    assert code == 1  # one of them is none
    assert "broken.mp4" in err
    assert "1 of 3 videos could not be read" in err
    assert f"Wrote {out_file}" in out
    a, b = str(folder / "a.mp4"), str(folder / "below" / "b.mp4")
    expected = [
        (video, *window) for video in (a, b) for window in times_and_tops(model, video, hop=0.5)
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


class FailingPredictor(RecordingPredictor):
    """Fails after a few windows."""

    def __init__(self, clip_spec, windows):
        super().__init__(clip_spec)
        self.windows = windows

    def probabilities(self, clips):
        if len(self.batches) == self.windows:
            raise RuntimeError("out of memory")
        return super().probabilities(clips)


@pytest.mark.parametrize("windows", [0, 5])
def test_windows_scored_before_a_failure_are_kept(
    monkeypatch, capsys, folder, tmp_path, recording, windows
):
    failing = FailingPredictor(recording.clip_spec, windows)
    monkeypatch.setattr(loading, "predictor", lambda path: failing)
    words = ["--windows", "--out", tmp_path / "w.json", "--timeline", tmp_path / "t.png"]
    code = cli.main([str(word) for word in ("predict", "m", folder / "a.mp4", *words)])
    said = capsys.readouterr()
    assert code == 1
    assert "out of memory" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.png", "w.json"] * bool(windows)
    if windows:
        assert f"Wrote {tmp_path / 'w.json'}" in said.out
        assert len(json.loads((tmp_path / "w.json").read_text())) == windows


def test_folder_without_windows(run, folder):
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


def test_damaged_video_is_scored_up_to_the_damage(run, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", noise, codec="mpeg4")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for words, lines in ((["--windows"], 4), ([], 3)):
        code, out, err = run("predict", "m", tmp_path / "cut.avi", *words)
        assert code == 0
        assert len(out.splitlines()) >= lines
        (said,) = err.splitlines()
        assert said.startswith("keras-t3d: warning: damaged")
        assert said.endswith("cut.avi")


def test_damage_is_a_warning_in_python(model, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    whole = write_video(tmp_path / "whole.avi", noise, codec="mpeg4")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.warns(DamagedVideoWarning, match=r"damaged.*cut\.avi"):
        predict_video(model, tmp_path / "cut.avi")


def last_line(err):
    return [line for line in err.splitlines() if line][-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "m", "{v}/broken.mp4", "--windows", "--out", "{t}/w.json"], "broken.mp4"),
        (
            ["predict", "m", "{v}/broken.mp4", "{v}/none.mp4", "--windows", "--out", "{t}/w.csv"],
            "2 of 2",
        ),
        (["predict", "m", "{v}/a.mp4", "--windows", "--out", "{t}/w.txt"], ".json or .csv"),
        (["predict", "m", "{v}/a.mp4", "--timeline", "{t}/w.jpg"], ".png"),
        (["predict", "m", "{v}", "--timeline", "{t}/w.png"], "one video"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--hop", "0"], "above 0"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--smoothing", "5"], "mean:5"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--views", "2"], "--views"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--batch-size", "-1"], "--batch-size"),
        (["predict", "m", "{v}/a.mp4", "--smoothing", "mean:5"], "add --windows"),
        (["predict", "m", "{v}/a.mp4", "--hop", "0"], "add --windows"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--out", ""], ".json or .csv"),
        (["predict", "m", "{v}/a.mp4", "--windows", "--batch-size", "0"], "--batch-size"),
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
def test_invalid_input_prints_one_line_and_leaves_no_files(run, folder, tmp_path, words, said):
    before = sorted(folder.rglob("*"))
    code, _, err = run(*(word.format(v=folder, t=tmp_path) for word in words))
    assert code == 1
    assert last_line(err).startswith("keras-t3d: error: ")
    assert said in last_line(err)
    assert list(tmp_path.iterdir()) == []
    assert sorted(folder.rglob("*")) == before
