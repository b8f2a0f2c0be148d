"""Pretraining: files, resuming, and training that starts from the student."""

import dataclasses
import json
import os
import re
import shutil

import keras
import numpy as np
import pytest
from keras.src.applications.densenet import DenseNet  # of any depth, which Keras does not export
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_t3d
from keras_t3d.cli import main
from keras_t3d.data import ConversionOptions, ShardSet, convert
from keras_t3d.training import pretrain, run_directory
from keras_t3d.training.checkpoints import checkpoint_paths
from keras_t3d.training.network import new_network, new_student
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.transfer import FrameTeacher, load_teacher
from tests import forked
from tests.conftest import NEEDS_JAX, counting_frames, write_video
from tests.training import tiny
from tests.training.test_without_tensorflow import PROGRAM

pytestmark = pytest.mark.fit

ONE_EPOCH = ["--epochs=1", "--optimizer.warmup_epochs=0"]


def read(path, *flags):
    return tiny.read(path, *flags, config_class=PretrainConfig)


def state(run):
    """Returns the arrays of the newest checkpoint."""
    with np.load(checkpoint_paths(run)[-1]) as content:
        return {name: content[name] for name in content.files if name != "state"}


@pytest.fixture(scope="module")
def finished(shards, teacher_path, tmp_path_factory):
    """Two epochs of four steps; the run's configuration and folder."""
    folder = tmp_path_factory.mktemp("finished")
    config = read(tiny.write_pretraining(folder / "p.yaml", shards, teacher_path))
    pretrain(config, folder / "run")
    return config, folder / "run"


class TestRun:
    def test_writes_all_files(self, finished):
        config, run = finished
        assert {path.name for path in run.iterdir()} == {
            "config.yaml", "environment.json", "student.keras", "history.csv", "curves.png",
            "tensorboard", "checkpoints", ".lock",
        }  # fmt: skip
        assert read(run / "config.yaml") == config
        assert [path.name for path in checkpoint_paths(run)] == [
            "step-00000004.npz", "step-00000008.npz",
        ]  # fmt: skip

    def test_the_student_is_a_network_without_classes(self, finished):
        student = keras.saving.load_model(finished[1] / "student.keras")
        assert type(student) is keras_t3d.models.T3D
        assert student.class_names == ()
        assert student.clip_spec.crop == 16
        assert student.output_shape == (None, student.get_layer("embedding").output.shape[-1])

    def test_history_has_loss_and_accuracy_of_both_splits(self, finished):
        rows = run_directory.read_history(finished[1])
        assert [row["epoch"] for row in rows] == [1, 2]
        for row in rows:
            assert 0 <= row["match_accuracy"] <= 1
            assert 0 <= row["val_match_accuracy"] <= 1
            assert row["transfer_loss"] == pytest.approx(row["loss"], rel=1e-5)
            assert row["val_transfer_loss"] > 0
            assert "val_loss" not in row  # counts the clips that fill the last batch

    def test_tensorboard_has_clips_and_metrics(self, finished):
        runs = {}
        for name in ("train", "validation"):
            folder = finished[1] / "tensorboard" / name
            runs[name] = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload().Tags()
        assert runs["train"]["images"] == ["sample_clips"]
        assert runs["validation"]["images"] == []  # no classes, no confusion
        for tags in runs.values():
            assert {"epoch_transfer_loss", "epoch_match_accuracy"} <= set(tags["scalars"])

    def test_a_finished_run_is_not_trained_again(self, finished, tmp_path, capsys):
        config, run = finished
        before = (run / "student.keras").read_bytes()
        pretrain(config, run)
        assert f"{run}: all 2 epochs are done" in capsys.readouterr().out
        assert (run / "student.keras").read_bytes() == before
        with pytest.raises(ValueError, match=r"`run_dir`.*negatives: 2"):
            pretrain(read(run / "config.yaml", "--objective.negatives", "2"), run)

    def test_training_starts_from_the_student(self, finished, config_file, capsys):
        student = keras.saving.load_model(finished[1] / "student.keras")
        path = str(finished[1] / "student.keras")
        network = new_network(tiny.read(config_file), ("bright", "dark"), path)
        assert "new weights: logits" in capsys.readouterr().out
        assert network.class_names == ("bright", "dark")
        for variable in student.variables:
            same = next(v for v in network.variables if v.path == variable.path)
            np.testing.assert_array_equal(same, variable)

    def test_resuming_with_another_teacher_is_refused(self, finished, teacher_path, tmp_path):
        config, run = finished
        run = shutil.copytree(run, tmp_path / "run")
        checkpoint_paths(run)[-1].unlink()
        network = keras.saving.load_model(teacher_path)
        network.weights[0].assign(network.weights[0] * 2.0)
        network.save(tmp_path / "t.keras")
        teacher = dataclasses.replace(config.teacher, network=str(tmp_path / "t.keras"))
        config = dataclasses.replace(config, teacher=teacher)
        (run / "config.yaml").write_text(config.to_yaml())
        with pytest.raises(ValueError, match=r"t.keras|stills"):
            pretrain(config, run)


@pytest.mark.parametrize("kind", ["matching", pytest.param("contrast", marks=pytest.mark.slow)])
def test_a_batch_with_parts_of_one_video_is_refused(kind, teacher_path, tmp_path, capsys):
    write_video(tmp_path / "films" / "long.mp4", counting_frames(125))
    convert(
        tmp_path / "films",
        tmp_path / "one",
        ConversionOptions(layout="unlabelled", short_side=40, max_seconds=1),
    )
    assert ShardSet.open(tmp_path / "one").num_videos("train") == 5
    config = tiny.write_pretraining(tmp_path / "p.yaml", tmp_path / "one", teacher_path)
    flags = [f"--objective.kind={kind}", "--data.validation_split=null"]
    with pytest.raises(ValueError, match=r"`data.batch_size`"):
        pretrain(read(config, *flags), tmp_path / "run")
    assert not (tmp_path / "run" / "student.keras").exists()


def test_a_student_cannot_classify(finished, videos, shards, tmp_path, capsys):
    student, video = str(finished[1] / "student.keras"), str(next(videos.rglob("*.mp4")))
    for words in (
        ["predict", student, video],
        ["evaluate", student, str(shards), "--out", str(tmp_path / "report")],
        ["export", "saved-model", student, str(tmp_path / "serving")],
        ["export", "tflite", student, str(tmp_path / "t.tflite")],
    ):
        assert main(words) == 1
        *_, line = capsys.readouterr().err.splitlines()
        assert "must have classes" in line
    assert not list(tmp_path.iterdir())


# Everything with a state: momentum, average, learning rate.
RESUMED = [
    "--model.dtype=mixed_bfloat16",
    "--cache_features=true",
    "--objective.kind=contrast",
    "--deterministic=true",
    "--checkpoints.every_steps=1",
    "--optimizer.ema=0.9",
    "--optimizer.schedule=plateau",
    "--optimizer.patience=1",
    "--optimizer.warmup_epochs=0",
]


@pytest.mark.process
def test_a_resumed_run_is_the_same_bit_for_bit(pretraining_file, tmp_path):
    """From the middle of the second epoch on."""
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    words = ["-m", "keras_t3d.cli", "pretrain", "--config", pretraining_file, *RESUMED]
    forked.run([*words, "--run-dir", whole], check=True)
    shutil.copytree(whole, resumed)
    (resumed / "student.keras").unlink()
    for path in checkpoint_paths(resumed)[-2:]:
        path.unlink()
    done = forked.run([*words, "--run-dir", resumed], check=True)
    assert "Resuming after epoch 1 of 2, step 2 of 4" in done.stdout
    before, after = state(whole), state(resumed)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    students = [keras.saving.load_model(run / "student.keras").get_weights() for run in
                (whole, resumed)]  # fmt: skip
    for mine, theirs in zip(*students, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    times = ("seconds", "clips_per_second", "data_wait")
    rows = [
        [{k: v for k, v in row.items() if k not in times} for row in run_directory.read_history(r)]
        for r in (whole, resumed)
    ]
    assert rows[0] == rows[1]


@pytest.mark.slow  # tests/transfer/test_devices.py compares steps of the same objective
def test_two_devices_train_like_one(pretraining_file, tmp_path):
    """Negatives and batch norm are those of the whole batch, on any number of devices."""
    flags = ["--data.batch_size=8", "--model.synchronized_bn=true", "--objective.negatives=2"]
    flags += ["--optimizer.accumulation=2", "--optimizer.global_clipnorm=0.5", *ONE_EPOCH]
    one, two = tmp_path / "one", tmp_path / "two"
    words = ["pretrain", "--config", str(pretraining_file), "--run-dir", str(two), *flags]
    code = f"""
import sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_t3d.cli import main
sys.exit(main({words!r}))
"""
    forked.run(["-c", code], check=True)
    pretrain(read(pretraining_file, *flags), one)
    mine, theirs = state(one), state(two)
    assert mine.keys() == theirs.keys()
    trained = [name for name in mine if name.startswith(("network", "optimizer"))]
    for name in trained:
        np.testing.assert_allclose(theirs[name], mine[name], rtol=1e-3, atol=1e-4, err_msg=name)
    (a,), (b,) = (run_directory.read_history(run) for run in (one, two))
    for key in ("transfer_loss", "match_accuracy", "val_transfer_loss", "val_match_accuracy"):
        assert a[key] == pytest.approx(b[key], rel=1e-4), key


def test_with_cached_features_the_student_learns_and_the_teacher_does_not_run(
    pretraining_file, tmp_path, capsys, monkeypatch
):
    """The set's two classes differ in brightness, which the teacher's features tell."""

    def call(self, clips):
        raise AssertionError("the teacher runs")

    monkeypatch.setattr(FrameTeacher, "call", call)
    flags = ["--objective.kind=regression", "--epochs=4", "--optimizer.ema=0.5"]
    flags += ["--optimizer.stage_rates={stem: 0.1}", "--cache-features"]
    flags += ["--clip.num_frames=8", "--clip.resize=36", "--clip.crop=32"]
    larger = {**tiny.TINY["model"]["options"], "block_layers": [1, 1], "stem_filters": 8}
    flags += [f"--model.options={json.dumps(larger)}"]
    words = ["pretrain", "--config", str(pretraining_file), *flags]
    assert main([*words, "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr()
    assert "centre view, unflipped" in out.out
    assert "teacher: 20 of 20 videos of train" in out.err
    assert "teacher: 8 of 8 videos of test" in out.err
    folder = re.search(r"Cached the teacher's features in (\S+)\.", out.out)[1]
    shards = ShardSet.open(read(pretraining_file).data.shards)
    assert {path for path in os.listdir(folder) if path.endswith(".f16")} == {
        f"{split}-{number:05d}.f16"
        for split in ("train", "test")
        for number in range(len(shards.paths(split)))
    }
    rows = run_directory.read_history(tmp_path / "run")
    assert rows[-1]["transfer_loss"] < 0.5 * rows[0]["transfer_loss"]
    assert rows[-1]["val_transfer_loss"] < rows[0]["val_transfer_loss"]
    assert read(tmp_path / "run" / "config.yaml").cache_features


@pytest.mark.slow  # tests/training/test_without_tensorflow.py trains there
@pytest.mark.process
@pytest.mark.backend
def test_on_jax_where_tensorflow_is_not_installed(pretraining_file, tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    words = ["pretrain", "--config", str(pretraining_file), *ONE_EPOCH, "--cache-features"]
    words += ["--precise_bn_batches=2"]
    words = ["-c", PROGRAM, *words, "--run-dir", tmp_path / "run"]
    forked.run(words, backend="jax", env={"XLA_FLAGS": forked.QUICK_COMPILING}, check=True)
    (row,) = run_directory.read_history(tmp_path / "run")
    assert 0 < row["val_transfer_loss"] < 2
    assert checkpoint_paths(tmp_path / "run")[-1].name == "step-00000004.npz"
    assert keras.saving.load_model(tmp_path / "run" / "student.keras").class_names == ()


class TestInflation:
    @pytest.fixture(scope="class")
    def images(self, tmp_path_factory):
        """A DenseNet of four layers, saved with a classifying layer."""
        path = tmp_path_factory.mktemp("images") / "dense.keras"
        keras.utils.set_random_seed(1)
        DenseNet(
            [1, 1, 1, 1], include_top=True, weights=None, classes=3, input_shape=(64, 64, 3)
        ).save(path)
        return path

    @pytest.mark.parametrize("source", ["teacher", "path"])
    def test_the_student_starts_from_images(self, pretraining_file, images, source, capsys):
        flags = ["--model.name=t3d_121", "--model.options={block_layers: [1, 1, 1, 1]}"]
        flags += ["--clip.num_frames=16", "--clip.resize=36", "--clip.crop=32"]
        flags += ["--inflate_mode=centre", f"--teacher.network={images}"]
        flags += [f"--inflate={images if source == 'path' else 'teacher'}"]
        config = read(pretraining_file, *flags, "--teacher.preprocessing=torch")
        teacher = load_teacher(str(images), preprocessing="torch")
        student = new_student(config, teacher)
        assert "mode 'centre'" in capsys.readouterr().out
        kernel = student.get_layer("stem").conv.kernel.numpy()
        taught = teacher.network.get_layer("conv1_conv").kernel.numpy()
        np.testing.assert_array_equal(kernel[kernel.shape[0] // 2], taught)

    def test_a_teacher_that_sees_other_pixels_is_refused(self, pretraining_file, images):
        config = read(pretraining_file, f"--teacher.network={images}", "--inflate=teacher")
        teacher = load_teacher(str(images), preprocessing="zero_one")
        with pytest.raises(ValueError, match=r"`teacher.preprocessing`.*'zero_one'"):
            new_student(
                dataclasses.replace(
                    config, teacher=dataclasses.replace(config.teacher, preprocessing="zero_one")
                ),
                teacher,
            )

    def test_a_source_that_does_not_fit_leaves_no_run(self, pretraining_file, tmp_path):
        with pytest.raises(ValueError, match="inflate"):
            pretrain(read(pretraining_file, "--inflate=teacher"), tmp_path / "run")
        with pytest.raises(ValueError, match=r"`inflate`"):
            pretrain(read(pretraining_file, "--inflate=none.keras"), tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "motion", "--run-dir", "{run}"], "keras-t3d train --config motion"),
        (["--config", "{config}"], "--run-dir"),
        (["--config", "none", "--run-dir", "{run}"], "pretrain_motion"),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--epochz", "1"],
            "Did you mean '--epochs'?",
        ),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--data.shards", "{run}"],
            "keras-t3d convert",
        ),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--teacher.network", "DenseNot"],
            "keras.applications",
        ),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--teacher.network", "no.keras"],
            "no.keras",
        ),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--optimizer.stage_rates", "{{s: 1}}"],
            "must name stages",
        ),
        (
            ["--config", "{config}", "--run-dir", "{run}", "--cache-features", "--clip.resize=128"],
            "128",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_run(words, said, pretraining_file, tmp_path, capsys):
    run = tmp_path / "run"
    words = [word.format(config=pretraining_file, run=run) for word in words]
    assert main(["pretrain", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-t3d: error: ")
    assert said in line
    assert not run.exists()


def test_help_lists_keys_and_the_flag(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for word in ("--teacher.network", "--objective.kind", "--inflate", "--cache-features "):
        assert word in out
    assert "pretrain_motion" in out
