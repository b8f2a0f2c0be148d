import json
import shutil

import pytest

from keras_t3d.cli import main
from keras_t3d.evaluation import EvaluationOptions, evaluate
from keras_t3d.evaluation.report import FILES

pytestmark = pytest.mark.pipeline


def test_two_evaluations_give_the_same_bytes(model_path, shards, tmp_path):
    for name in ("a", "b"):
        evaluate(model_path, shards, "test", tmp_path / name, EvaluationOptions(views=2))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    text = (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    assert text.count("Middle frame of") >= 8
    assert str(tmp_path / "a") not in text


def test_the_command_prints_metrics_and_reports_the_protocol(model_path, shards, tmp_path, capsys):
    words = ["evaluate", model_path, shards, "--protocol", "t3d", "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    low, high = metrics["intervals"]["top1"]
    out, err = capsys.readouterr()
    assert out == (
        f"8 videos: top-1 {metrics['top1']:.4f} (95 % interval {low:.4f} to {high:.4f}; chance "
        "0.5000, most frequent class 0.5000), mean "
        f"class accuracy {metrics['mean_class_accuracy']:.4f}, "
        f"ECE {metrics['calibration']['ece']:.4f}\n"
        f"Wrote {tmp_path / 'out' / 'index.html'}, metrics.json, predictions.csv, per_class.csv, "
        "confusion.csv, confusion.png\n"
    )
    assert "evaluating: 8 of 8 videos" in err
    protocol = metrics["protocol"]
    assert protocol["model"] == str(model_path)
    assert (protocol["split"], protocol["protocol"], protocol["records"]) == ("test", "t3d", 8)
    assert (protocol["views"], protocol["crops"]) == (None, 1)
    assert protocol["clip_spec"]["num_frames"] == 8
    # 12 to 15 frames, clips that span 16 with a stride of 2: two clips per video.
    assert metrics["clip_level"]["clips"] == 16


def test_classes_without_videos_are_named_at_once(model_path, shards, tmp_path, capsys):
    copied = tmp_path / "shards"
    shutil.copytree(shards, copied)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["splits"]["test"]["per_class"]["dark"] = 0
    (copied / "manifest.json").write_text(json.dumps(manifest))
    words = ["evaluate", model_path, copied, "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0
    _, second, *_ = capsys.readouterr().err.splitlines()
    assert second == "keras-t3d: warning: No test videos of 1 class: dark"


@pytest.mark.parametrize("given", [["--views", "3"], ["--crops", "1"]])
def test_views_of_a_papers_protocol_are_rejected_in_one_line(
    given, model_path, shards, tmp_path, capsys
):
    words = ["evaluate", model_path, shards, "--protocol", "t3d", *given, "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert given[0].removeprefix("--") in line
    assert line.endswith(f"Received: {given[1]}")
    assert not (tmp_path / "out").exists()
