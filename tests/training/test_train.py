import contextlib
import dataclasses
import io
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest

from keras_t3d.data import ConversionOptions, ShardSet, convert
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation import evaluate
from keras_t3d.training import run_directory, train
from keras_t3d.training.checkpoints import checkpoint_paths, newest_checkpoint
from keras_t3d.training.network import new_network
from keras_t3d.training.objective import new_optimizer
from keras_t3d.training.selection import SelectionConfig
from keras_t3d.training.stop_on_nan import DivergedError
from tests import forked
from tests.training.tiny import read, write_config

pytestmark = pytest.mark.fit

ONE_EPOCH = ["--epochs=1", "--optimizer.warmup_epochs=0"]


@pytest.fixture(scope="module")
def finished(shards, tmp_path_factory):
    """Three epochs without a stop."""
    folder = tmp_path_factory.mktemp("finished")
    config = read(write_config(folder / "c.yaml", shards))
    train(config, folder / "run")
    return config, folder / "run"


def selected(config, history):
    """Returns the metrics of the epoch that best.keras is of."""
    videos = ShardSet.open(config.data.shards).num_videos(config.data.validation_split)
    return history[SelectionConfig().best_epoch(history, videos)]


class TestRun:
    def test_writes_all_files(self, finished):
        config, run = finished
        assert {path.name for path in run.iterdir()} == {
            "config.yaml", "environment.json", "last.keras", "best.keras", "best.json",
            "history.csv", "curves.png", "tensorboard", "checkpoints", ".lock",
        }  # fmt: skip
        (start,) = json.loads((run / "environment.json").read_text())
        assert start["seed"] == 0
        assert start["packages"]["keras"] == keras.__version__
        history = run_directory.read_history(run)
        assert json.loads((run / "best.json").read_text()) == selected(config, history)
        best = keras.saving.load_model(run / "best.keras")
        assert best.class_names == ("bright", "dark")
        assert best.clip_spec.crop == 16

    def test_history_has_the_learning_rate_of_the_schedule(self, finished):
        config, run = finished
        history = run_directory.read_history(run)
        assert [row["epoch"] for row in history] == [1, 2, 3]
        peak, steps = config.optimizer.learning_rate, 4
        for row in history:
            after = row["epoch"] * steps - steps  # steps since the warm-up ended
            expected = peak * 0.5 * (1 + np.cos(np.pi * after / (2 * steps)))
            assert row["learning_rate"] == pytest.approx(expected, abs=1e-7)
        assert all(0 <= row["val_top1"] <= 1 and row["clips_per_second"] > 0 for row in history)
        assert "val_loss" not in history[0]

    def test_a_finished_run_is_not_trained_again(self, finished, capsys):
        config, run = finished
        before = (run / "last.keras").read_bytes()
        train(config, run)
        assert str(run) in capsys.readouterr().out
        assert (run / "last.keras").read_bytes() == before

    def test_a_run_without_a_checkpoint_accepts_another_configuration(self, config_file, tmp_path):
        with run_directory.started(tmp_path / "run", read(config_file), []):
            pass  # it ended before its first checkpoint
        other = read(config_file, "--epochs=1", "--optimizer.warmup_epochs=0")
        assert run_directory.check(tmp_path / "run", other) == tmp_path / "run"

    def test_another_configuration_is_refused(self, finished, tmp_path):
        config, run = finished
        (tmp_path / "c.yaml").write_text(config.to_yaml())
        with pytest.raises(InvalidArgumentError, match=r"`run_dir`.*seed: 5"):
            train(read(tmp_path / "c.yaml", "--seed", "5"), run)

    def test_shards_that_changed_are_refused(self, finished, videos, tmp_path):
        config, run = finished
        copy = shutil.copytree(run, tmp_path / "run")
        other = convert(videos, tmp_path / "other", ConversionOptions(short_side=40, workers=1))
        (other.folder / "labels.txt").write_text("bright\nzebra\n")
        (copy / "config.yaml").write_text(
            config.to_yaml().replace(config.data.shards, str(other.folder))
        )
        with pytest.raises(ValueError, match=r"\['dark'\].*\['zebra'\]"):
            train(read(copy / "config.yaml"), copy)

    def test_a_change_of_validation_is_refused(self, finished, shards, tmp_path):
        config, run = finished
        copy = shutil.copytree(run, tmp_path / "run")
        checkpoint_paths(copy)[-1].unlink()
        without = shutil.copytree(shards, tmp_path / "without")
        manifest = json.loads((without / "manifest.json").read_text())
        manifest["shards"] = [s for s in manifest["shards"] if s["split"] == "train"]
        manifest["splits"]["test"]["videos"] = 0
        (without / "manifest.json").write_text(json.dumps(manifest))
        text = config.to_yaml().replace(config.data.shards, str(without))
        (copy / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match=re.escape(str(without))):
            train(read(copy / "config.yaml"), copy)

    def test_init_copies_weights(self, finished, capsys):
        config, run = finished
        network = new_network(config, ("bright", "dark"), str(run / "best.keras"))
        assert "new weights: none" in capsys.readouterr().out
        history = run_directory.read_history(run)
        assert json.loads((run / "best.json").read_text()) == selected(config, history)
        best = keras.saving.load_model(run / "best.keras")
        for mine, theirs in zip(network.get_weights(), best.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


class TestMixedClips:
    @pytest.fixture(scope="class")
    def trained(self, finished, shards, tmp_path_factory):
        """One epoch of mixed and repeated clips, in the folder of a start that was killed.

        It starts from the weights of another run.
        """
        folder = tmp_path_factory.mktemp("mixed")
        (folder / "run" / "checkpoints").mkdir(parents=True)
        (folder / "run" / ".part-7-config.yaml").write_text("half")
        (folder / "run" / "config.yaml").write_text("epochs: 3\n")
        (folder / "run" / "checkpoints" / ".part-7-step-1.npz").write_text("half")
        mixed = [f"--data.augmentation.{name}" for name in ("mixup=0.8", "cutmix=1", "repeats=5")]
        flags = [*mixed, "--data.augmentation.brightness=0.3", *ONE_EPOCH]
        config, best = read(write_config(folder / "c.yaml", shards), *flags), finished[1]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            train(config, folder / "run", init=str(best / "best.keras"))
        return folder / "run", output.getvalue()

    def test_mixed_and_repeated_clips_train(self, trained):
        run, _ = trained
        (row,) = run_directory.read_history(run)
        # 20 videos, 5 clips of each, batches of 5
        assert checkpoint_paths(run)[-1].name == "step-00000020.npz"
        assert 0 <= row["val_top1"] <= 1
        assert row["cross_entropy"] > 0

    def test_training_starts_from_weights(self, trained, finished):
        assert f"Started from {finished[1] / 'best.keras'}; new weights: none" in trained[1]

    def test_files_of_killed_processes_are_removed(self, trained):
        assert not list(trained[0].rglob(".part-*"))


def test_on_damage_skip_leaves_out_damaged_records(videos, config_file, tmp_path):
    """In shards of which the conversion left out half of the training videos."""
    source = shutil.copytree(videos, tmp_path / "videos")
    for number, path in enumerate(sorted(source.glob("train/*/*.mp4"))):
        if number % 2:
            path.write_bytes(path.read_bytes()[:200])
    damaged = convert(source, tmp_path / "shards", ConversionOptions(short_side=40, workers=1))
    victim = sorted(damaged.folder.glob("train*"))[0]
    content = bytearray(victim.read_bytes())
    content[100] ^= 0xFF  # in the first record's data
    victim.write_bytes(content)
    flags = [*ONE_EPOCH, "--data.batch_size=9", f"--data.shards={damaged.folder}"]
    with pytest.raises(ValueError, match=victim.name):
        train(read(config_file, *flags), tmp_path / "a")
    with pytest.warns(UserWarning, match=victim.name):
        train(read(config_file, *flags, "--data.on_damage=skip"), tmp_path / "b")
    assert len(run_directory.read_history(tmp_path / "b")) == 1


class TestBadInput:
    def test_a_folder_with_other_files_is_refused(self, config_file, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "precious.txt").write_text("x")
        with pytest.raises(InvalidArgumentError, match=r"`run_dir`.*mine"):
            train(read(config_file), tmp_path / "mine")
        assert os.listdir(tmp_path / "mine") == ["precious.txt"]

    def test_missing_shards_create_no_run_directory(self, config_file, tmp_path):
        with pytest.raises(ValueError, match="keras-t3d convert"):
            train(read(config_file, "--data.shards", str(tmp_path / "none")), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_an_unknown_model_creates_no_run_directory(self, config_file, tmp_path):
        with pytest.raises(ValueError, match=r"'t3d_tiny'.*'t3d_tinny'"):
            train(read(config_file, "--model.name", "t3d_tinny"), tmp_path / "run")
        assert not (tmp_path / "run").exists()
        with pytest.raises(ValueError, match="`foo`"):
            train(read(config_file, "--model.options", "{foo: 1}"), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_shards_smaller_than_the_clip_are_refused(self, config_file, tmp_path):
        flags = ["--clip.resize", "128", "--clip.crop", "112"]
        with pytest.raises(ValueError, match="short_side"):
            train(read(config_file, *flags), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_diverged_run_keeps_the_files_of_earlier_epochs(self, config_file, tmp_path):
        run = tmp_path / "run"
        # Stable for an epoch, then a rate that diverges.
        flags = ["--optimizer.schedule=step", "--optimizer.step_epochs=[1]", "--epochs=2"]
        config = read(config_file, *flags, "--optimizer.warmup_epochs=0")
        with pytest.MonkeyPatch.context() as patch:
            explodes = dataclasses.replace(config.optimizer, factor=0.5)
            object.__setattr__(explodes, "factor", 1e30)
            patch.setattr(
                "keras_t3d.training.supervised.new_optimizer",
                lambda _, network, steps: new_optimizer(
                    dataclasses.replace(config, optimizer=explodes), network, steps
                ),
            )
            with pytest.raises(DivergedError, match=r"epoch 2.*learning_rate"):
                train(config, run)
        assert [row["epoch"] for row in run_directory.read_history(run)] == [1]
        newest = newest_checkpoint(run)
        assert (newest.state.epoch, newest.state.step_in_epoch) == (1, 0)
        assert all(np.isfinite(value).all() for value in newest.variables["network"].values())
        weights = keras.saving.load_model(run / "last.keras").get_weights()
        assert all(np.isfinite(value).all() for value in weights)

    def test_plateau_without_validation_creates_no_run_directory(self, config_file, tmp_path):
        flags = ["--optimizer.schedule=plateau", "--optimizer.warmup_epochs=0"]
        flags.append("--data.validation_split=val")
        with pytest.raises(ValueError, match=r"`optimizer.schedule`.*'val'"):
            train(read(config_file, *flags), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_two_processes_in_one_run_directory_are_refused(self, config_file, tmp_path):
        config = read(config_file, *ONE_EPOCH)
        with (
            run_directory.started(tmp_path / "run", config, []),
            pytest.raises(ValueError, match=r"`run_dir`.*run"),
        ):
            train(config, tmp_path / "run")


TWO_DEVICES = """
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_t3d.cli import main
assert main(sys.argv[1:]) == 1  # batches of 5
assert main([*sys.argv[1:], "--data.batch_size=6"]) == 0
"""


@pytest.mark.process
class TestTwoDevices:
    @pytest.fixture(scope="class")
    def trained(self, shards, tmp_path_factory):
        """Folder of a run, and what the process that trains there writes to standard error."""
        folder = tmp_path_factory.mktemp("devices")
        config = write_config(folder / "c.yaml", shards)
        # Otherwise each device validates with its own statistics.
        synchronized = ["--model.synchronized_bn", "true"]
        words = ["train", "--config", config, "--run-dir", folder / "run", *ONE_EPOCH]
        words += synchronized
        return folder / "run", forked.run(["-c", TWO_DEVICES, *words], check=True).stderr

    def test_an_uneven_last_validation_batch(self, trained, shards, tmp_path):
        """8 validation videos in batches of 6: the second batch is mostly padding."""
        run, _ = trained
        (start,) = json.loads((run / "environment.json").read_text())
        assert len(start["devices"]) == 2
        (epoch,) = run_directory.read_history(run)
        assert all(np.isfinite(value) for value in epoch.values())
        exact = evaluate(str(run / "last.keras"), str(shards), "test", str(tmp_path / "report"))
        assert epoch["val_top1"] == pytest.approx(exact["top1"], abs=1e-6)

    def test_a_batch_that_does_not_divide_is_refused(self, trained):
        run, errors = trained
        assert "data.batch_size" in errors
        assert "2 devices" in errors
        assert len(json.loads((run / "environment.json").read_text())) == 1
