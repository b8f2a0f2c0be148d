"""The scripts in training/ and export/ run, at small size."""

import pathlib
import runpy
import sys

import pytest

from tests.training.tiny import write_config, write_pretraining

pytestmark = [pytest.mark.fit, pytest.mark.export]
ROOT = pathlib.Path(__file__).parents[2]
ONE_EPOCH = ["--epochs=1", "--optimizer.warmup_epochs=0"]


def run(script, *words):
    """Runs a script as `python script words` does, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, words)])
        runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    """Folder that training/train.py wrote."""
    folder = tmp_path_factory.mktemp("scripts")
    config = write_config(folder / "c.yaml", shards)
    flags = ["--optimizer.ema=0.5", "--data.augmentation.mixup=0.2"]
    run("training/train.py", "--config", config, *ONE_EPOCH, *flags, "--run-dir", folder / "run")
    return folder / "run"


def test_train_saves_and_exports(trained):
    assert {path.name for path in trained.iterdir()} == {
        "model.keras",
        "saved_model",
        "tensorboard",
    }
    assert (trained / "saved_model" / "1" / "saved_model.pb").is_file()


def test_evaluate(trained, shards, tmp_path, capsys):
    run("training/evaluate.py", trained / "model.keras", shards, "--out", tmp_path / "report")
    assert "8 videos" in capsys.readouterr().out
    assert (tmp_path / "report" / "metrics.json").is_file()


def test_pretrain(shards, teacher_path, tmp_path):
    config = write_pretraining(tmp_path / "p.yaml", shards, teacher_path)
    run("training/pretrain.py", "--config", config, *ONE_EPOCH, "--run-dir", tmp_path / "run")
    assert (tmp_path / "run" / "student.keras").is_file()


def test_export_saved_model(trained, tmp_path):
    run("export/saved_model.py", trained / "model.keras", tmp_path / "serving")
    assert (tmp_path / "serving" / "1" / "saved_model.pb").is_file()


def test_export_tflite(trained, shards, tmp_path):
    flags = ["--quantization=dynamic", "--shards", shards]
    run("export/tflite.py", trained / "model.keras", tmp_path / "m.tflite", *flags)
    assert (tmp_path / "m.tflite").stat().st_size > 1000


@pytest.mark.parametrize("script", [*ROOT.glob("training/*.py"), *ROOT.glob("export/*.py")])
def test_a_script_is_short(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 100
