"""Commands as users run them: exit status, output, errors in one line."""

import json
import shutil
import subprocess
import sys

import pytest

from keras_t3d.cli import COMMANDS, main
from keras_t3d.version import __version__
from tests.conftest import counting_frames, write_video


def run(capsys, *words):
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


_IMPORTS = """
import sys
from keras_t3d.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
modules = set(sys.modules)
assert not {"keras", "tensorflow", "jax", "torch"} & modules
print(*sorted(name for name in modules if name.startswith("keras_t3d.cli.")))
"""


@pytest.mark.process
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_imports_neither_keras_nor_other_subcommands(name):
    words = [sys.executable, "-c", _IMPORTS, *([name] if name else []), "--help"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    modules = {name.replace("-", "_"): name for name in COMMANDS}
    *_, imported = done.stdout.splitlines()
    found = {word.split(".")[2] for word in imported.split()} & set(modules)
    assert found == ({name.replace("-", "_")} if name else set())
    assert all(command in done.stdout for command in COMMANDS) or name


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert __version__ in out


@pytest.mark.process
def test_convert_inspect_evaluate_predict(videos, model_path, tmp_path, capsys):
    shards, report = tmp_path / "shards", tmp_path / "report"
    code, out, _ = run(capsys, "convert", videos, shards, "--short-side", 40, "--workers", 1)
    assert code == 0
    assert "20 train, 8 test videos" in out
    sheet = tmp_path / "sheet.png"
    code, out, _ = run(capsys, "inspect", shards, "--verify", "--sheet", sheet)
    assert code == 0
    assert "bright" in out
    assert "has its checksum" in out
    assert "53x40" in out  # of 64x48
    assert sheet.read_bytes().startswith(b"\x89PNG")
    code, out, _ = run(capsys, "evaluate", model_path, shards, "--views", 2, "--out", report)
    assert code == 0
    assert "8 videos: top-1" in out
    assert {path.name for path in report.iterdir()} == {
        "index.html",
        "metrics.json",
        "predictions.csv",
        "per_class.csv",
        "confusion.csv",
        "confusion.png",
    }
    video = next((videos / "test" / "dark").iterdir())
    code, out, _ = run(capsys, "predict", model_path, video, "--json")
    assert code == 0
    prediction = json.loads(out)
    assert {entry["class"] for entry in prediction["classes"]} == {"bright", "dark"}


def test_predict_continues_after_an_unreadable_video(videos, model_path, tmp_path, capsys):
    (tmp_path / "empty.mp4").write_bytes(b"")
    video = next((videos / "test" / "dark").iterdir())
    code, out, err = run(capsys, "predict", model_path, tmp_path / "empty.mp4", video)
    assert code == 1
    assert "dark" in out
    assert "Cannot open" in err
    assert "1 of 2 videos" in err


@pytest.mark.process
def test_verify_names_a_damaged_shard(videos, tmp_path, capsys):
    run(capsys, "convert", videos, tmp_path / "s", "--workers", 1)
    victim = sorted((tmp_path / "s").glob("test*"))[0]
    content = bytearray(victim.read_bytes())
    content[100] ^= 1
    victim.write_bytes(content)
    code, _, err = run(capsys, "inspect", tmp_path / "s", "--verify")
    assert code == 1
    assert victim.name in err


_PROCESSORS = ("keras-t3d: TensorFlow", "keras-t3d: LiteRT")
_PROGRESS = ("converting: ", "evaluating: ", "generating: ", "INFO: ", *_PROCESSORS)


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "{tmp}/none", "{tmp}/out"],
        ["convert", "{tmp}/empty", "{tmp}/out"],
        ["convert", "{tmp}/one", "{tmp}/out", "--split-ratio", "0.5"],
        ["convert", "{tmp}/two", "{tmp}/full", "--split-ratio", "0.5"],
        ["convert", "{tmp}/two", "{tmp}/out", "--split-ratio", "x"],
        ["convert", "{tmp}/two/a/x.mp4", "{tmp}/out", "--layout", "csv"],
        ["convert", "{tmp}/two", "{tmp}/out", "--layout", "ucf101"],
        ["convert", "{tmp}/two", "{tmp}/out", "--split-ratio", "1", "--max-seconds", "0"],
        ["convert", "{tmp}/two", "{tmp}/out", "--split-ratio", "1", "--videos-at", "gs://b"],
        ["convert", "{tmp}/two", "{tmp}/out", "--runner", "beam", "--workers", "2"],
        ["predict", "{model}", "{tmp}/two", "--videos-at", "gs://b"],
        ["predict", "{model}", "{tmp}/two", "--runner", "beam"],
        ["inspect", "{tmp}/empty"],
        ["evaluate", "{tmp}/none.keras", "{shards}", "--out", "{tmp}/report"],
        ["evaluate", "{tmp}/full/file.txt", "{shards}", "--out", "{tmp}/report"],
        ["evaluate", "{model}", "{shards}", "--split", "val", "--out", "{tmp}/report"],
        ["evaluate", "{model}", "{tmp}/empty", "--out", "{tmp}/report"],
        ["evaluate", "{model}", "{shards}", "--out", "{tmp}/full"],
        ["evaluate", "{model}", "{shards}", "--out", "{tmp}/full/file.txt"],
        ["evaluate", "{model}", "{tmp}/damaged", "--split", "train", "--out", "{tmp}/report"],
        ["export", "tflite", "{model}", "{tmp}/out.tflite", "--calibration", "{tmp}/damaged"],
        ["export", "tflite", "{model}", "{tmp}/full/file.txt/out.tflite"],
        ["export", "saved-model", "{model}", "{tmp}/full/file.txt"],
        ["train", "--config", "motion", "--data.shards", "{shards}", "--run-dir", "{tmp}/run"],
        ["train", "--config", "motion", "--data.shards", "{shards}", "--run-dir", "{tmp}/full"],
        ["evaluate", "{model}", "{shards}", "--batch-size", "0", "--out", "{tmp}/report"],
        ["export", "tflite", "{model}", "{tmp}/noext"],
        ["train", "--config", "motion"],
        ["train", "--config", "motion", "--epochs", "1", "--run-dir", "{tmp}/run"],
        ["predict", "{tmp}/full/file.txt", "{tmp}/two/a/x.mp4"],
        ["predict", "{model}", "{tmp}/none.mp4"],
        ["train", "--config", "none", "--run-dir", "{tmp}/run"],
        ["train", "--config", "motion", "--data.shards", "{tmp}/empty", "--run-dir", "{tmp}/run"],
        ["export", "tflite", "{tmp}/none.keras", "{tmp}/out.tflite"],
        ["export", "saved-model", "{tmp}/full/file.txt", "{tmp}/serving"],
        ["demo", "--out", "{tmp}/full"],
        ["import-weights", "{tmp}/none.pth", "{tmp}/out.keras", "--model", "r3d_18"],
    ],
)
def test_invalid_input_prints_one_line_and_leaves_no_files(
    words, tmp_path, shards, model_path, capsys
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file.txt").write_text("x")
    for name in ("one/a", "two/a", "two/b"):
        write_video(tmp_path / name / "x.mp4", counting_frames(4))
    damaged = shutil.copytree(shards, tmp_path / "damaged")
    for victim in damaged.glob("train*"):
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 0xFF
        victim.write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    words = [word.format(tmp=tmp_path, shards=shards, model=model_path) for word in words]
    code, _, err = run(capsys, *words)
    assert code == 1
    lines = [line for line in err.splitlines() if not line.startswith(_PROGRESS)]
    assert len(lines) == 1
    assert lines[0].startswith("keras-t3d: error: ")
    assert sorted(tmp_path.rglob("*")) == before
