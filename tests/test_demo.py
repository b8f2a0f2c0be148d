"""The demo at small size, end to end."""

import json

import pytest

from keras_t3d.cli import main

pytestmark = [pytest.mark.fit, pytest.mark.export]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "--quick", "--out", str(out), "--seed", "3"]) == 0
    return out


def test_every_step_writes_its_files(demo):
    for name in (
        "videos/train/move_left",
        "videos/test/shrink",
        "shards/manifest.json",
        "run/best.keras",
        "run/history.csv",
        "report/metrics.json",
        "report/confusion.png",
        "results.png",
        "serving/t3d_tiny/1/saved_model.pb",
        "t3d_tiny.tflite",
        "t3d_tiny_float16.tflite",
    ):
        assert (demo / name).exists(), name


def test_three_artifacts_predict_the_same_for_a_video(demo, capsys):
    video = next((demo / "videos" / "test" / "grow").glob("*.mp4"))
    predictions = {}
    for model in ("run/best.keras", "serving/t3d_tiny", "t3d_tiny.tflite"):
        assert main(["predict", str(demo / model), str(video), "--json", "--top", "8"]) == 0
        classes = json.loads(capsys.readouterr().out)["classes"]
        predictions[model] = {entry["class"]: entry["probability"] for entry in classes}
    expected = predictions.pop("run/best.keras")
    for prediction in predictions.values():
        assert prediction == pytest.approx(expected, abs=1e-4)


def test_lite_artifact_scores_every_test_video_as_the_keras_model(demo, tmp_path):
    words = [demo / "t3d_tiny.tflite", demo / "shards", "--views", 3, "--out", tmp_path / "lite"]
    assert main(["evaluate", *map(str, words)]) == 0
    keras, lite = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (demo / "report", tmp_path / "lite")
    )
    assert keras["top1"] == lite["top1"]
    assert keras["per_class"] == lite["per_class"]
