import dataclasses
import json
import os

import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training import run_directory
from keras_t3d.training.config import DataConfig, TrainConfig


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run directory with a checkpoint, beside a folder `shards`; the working directory."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("shards")
    os.makedirs("run/checkpoints")
    (tmp_path / "run" / "config.yaml").write_text(config("shards").to_yaml())
    monkeypatch.setattr(run_directory, "checkpoint_paths", lambda folder: ["a checkpoint"])
    return tmp_path


def config(shards, **values):
    return dataclasses.replace(TrainConfig(data=DataConfig(shards=str(shards))), **values)


@pytest.mark.parametrize("spelling", ["shards", "shards/", "./shards", "{root}/shards", "link"])
def test_the_same_shards_are_no_other_configuration(begun, spelling):
    os.symlink("shards", "link")
    assert run_directory.check("run", config(spelling.format(root=begun)))


def test_a_run_is_resumed_from_another_directory(begun, monkeypatch):
    (begun / "run" / "environment.json").write_text(json.dumps([{"directory": str(begun)}]))
    (begun / "elsewhere" / "shards").mkdir(parents=True)
    monkeypatch.chdir("elsewhere")
    assert run_directory.check("../run", config("../shards"))
    with pytest.raises(InvalidArgumentError, match="another configuration"):
        run_directory.check("../run", config("shards"))


def test_other_shards_and_values_are(begun):
    os.mkdir("others")
    for other in (config("others"), config("shards", seed=7)):
        with pytest.raises(InvalidArgumentError, match=r"`run_dir`.*(others|seed: 7)"):
            run_directory.check("run", other)


def test_the_results_name_the_epoch_that_is_kept(tmp_path, capsys):
    (tmp_path / "history.csv").write_text("epoch,top1\n1,0.5\n2,0.75\n")
    (tmp_path / "best.json").write_text('{"epoch": 1, "top1": 0.5}')
    run_directory.print_results(tmp_path, "best.keras", "top1")
    printed = capsys.readouterr().out
    assert "Epoch 2: top1 0.7500" in printed
    assert "best.keras (epoch 1: top1 0.5000)" in printed
    assert "Wrote" not in printed
