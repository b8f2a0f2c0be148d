"""`keras-t3d predict --out` and `embed`: what they print, and errors in one line."""

import csv
import json

import numpy as np
import pytest

from keras_t3d.cli import main
from keras_t3d.inference import predict_video
from tests.conftest import write_video


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("archive")
    frames = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
    for name in ("a", "b"):
        write_video(root / f"{name}.mp4", frames)
    (root / "list.csv").write_text("path\na.mp4\nb.mp4\n")
    (root / "c.mp4").write_text("no video")
    return root


def run(capsys, *words):
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_predict_to_a_file(lite_path, archive, tmp_path, capsys):
    out = tmp_path / "s.csv"
    words = ("predict", lite_path, archive / "list.csv", "--out", out)
    code, said, err = run(capsys, *words, "--workers", 0, "--top", 1, "--views", 1)
    assert (code, said) == (0, f"Wrote {out}: 2 videos\n")
    assert err.splitlines()[-1] == "predicting: 2 of 2 videos"
    ((name, probability),) = predict_video(lite_path, archive / "a.mp4", top=1, num_views=1)
    with out.open(newline="") as file:
        rows = [(r["video"], r["class"], float(r["probability"])) for r in csv.DictReader(file)]
    assert rows == [(video, name, round(probability, 6)) for video in ("a.mp4", "b.mp4")]


def test_unreadable_videos_are_counted(lite_path, archive, tmp_path, capsys):
    out = tmp_path / "s.jsonl"
    code, said, err = run(capsys, "predict", lite_path, archive, "--out", out, "--workers", 0)
    assert (code, said) == (1, f"Wrote {out}: 3 videos\n")
    assert err.splitlines()[-1] == "keras-t3d: error: 1 of 3 videos could not be read"
    assert json.loads(out.read_text().splitlines()[-1])["error"].startswith("Cannot open")


@pytest.mark.process
def test_printed_predictions_are_decoded_in_processes(lite_path, archive, capsys):
    words = ("predict", lite_path, archive, "--json", "--workers")
    here, elsewhere = (run(capsys, *words, workers) for workers in (0, 2))
    assert here == elsewhere
    assert here[0] == 1
    assert [json.loads(line)["video"] for line in here[1].splitlines()] == [
        str(archive / name) for name in ("a.mp4", "b.mp4")
    ]
    (processors, note, error) = here[2].splitlines()
    assert processors.startswith("keras-t3d: LiteRT ")
    assert note.startswith("keras-t3d: Cannot open")
    assert error == "keras-t3d: error: 1 of 3 videos could not be read"


def test_embed_to_a_file(model_path, archive, tmp_path, capsys):
    out = tmp_path / "e.npz"
    words = ("embed", model_path, archive / "list.csv", "--out", out, "--workers", 0)
    code, said, _ = run(capsys, *words)
    assert (code, said) == (0, f"Wrote {out}: 2 videos\n")
    one, other = np.load(out)["embeddings"]
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "{lite}", "{a}/none", "--out", "{t}/s.csv"], "No such file"),
        (["predict", "{lite}", "{t}", "--out", "{t}/s.csv"], "VIDEO must be video files"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.txt"], "--out must name a file"),
        (["predict", "{lite}", "{a}", "--out", "{a}/a.mp4/s.csv"], "a.mp4"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--json"], "--json"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--hop", "2"], "--hop"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--workers", "-1"], "--workers"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--batch-size", "0"], "--batch-size"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--views", "0"], "--views"),
        (["predict", "{lite}", "{a}", "--out", "{t}/s.csv", "--time-limit", "0"], "--time-limit"),
        (["predict", "{lite}", "{a}/a.mp4", "--windows", "--workers", "2"], "--workers"),
        (["predict", "{t}/no.tflite", "{a}", "--out", "{t}/s.csv"], "no.tflite"),
        (["embed", "{lite}", "{a}", "--out", "{t}/e.npz"], "MODEL must be a .keras file"),
        (["embed", "{lite}", "{a}", "--out", "{t}/e.csv"], "--out must name a file"),
        (["embed", "{t}/no.keras", "{a}", "--out", "{t}/e.npz"], "no.keras"),
    ],
)
def test_errors_are_one_line_and_leave_no_file(lite_path, archive, tmp_path, capsys, words, said):
    names = {"lite": lite_path, "a": archive, "t": tmp_path}
    code, out, err = run(capsys, *(word.format(**names) for word in words))
    lines = [
        line for line in err.splitlines() if not line.startswith(("INFO: ", "keras-t3d: LiteRT"))
    ]
    assert (code, out, len(lines)) == (1, "", 1)
    assert lines[0].startswith("keras-t3d: error: ")
    assert said in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_other_options_is_refused(lite_path, archive, tmp_path, capsys):
    out, part = tmp_path / "s.csv", tmp_path / "s.csv.part"
    words = ("predict", lite_path, archive / "list.csv", "--out", out, "--workers", 0)
    run(capsys, *words)
    part.write_text('{"model": "x", "num_views": 2, "top": 5}\n')
    code, _, err = run(capsys, *words, "--top", 2)
    assert code == 1
    assert "MODEL x, now" in err
    assert "--views 2, now by default" in err
    assert "--top 5, now 2" in err
