import pytest

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training.command_line import recipe_names
from keras_t3d.training.config import TrainConfig
from tests.training.tiny import read


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_a_valid_config(name):
    assert isinstance(read(name), TrainConfig)


def test_flags_override_the_file(config_file):
    config = read(config_file, "--epochs", "7", "--data.augmentation.flip", "false")
    assert (config.epochs, config.data.augmentation.flip) == (7, False)
    assert config.data.augmentation.crop == "random"


def test_yaml_reads_back_the_same(config_file, tmp_path):
    config = read(config_file)
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert read(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (["--epochs", "many"], "epochs.*many"),
        (["--epochs", "0"], "`epochs`.*0"),
        (["--epochz", "1"], "epochz.*epochs"),
        (["--epoch", "1"], "epoch.*epochs"),  # no abbreviations
        (["--data.batchsize", "1"], "data.batchsize.*data.batch_size"),
        (
            ["--optimizer.schedule", "step", "--optimizer.warmup_epochs", "0"],
            r"`optimizer.step_epochs`.*\(\)",
        ),
        (
            ["--optimizer.schedule", "step", "--optimizer.step_epochs", "[2, 2]"],
            r"`optimizer.step_epochs`.*\(2, 2\)",
        ),
        (
            ["--optimizer.schedule", "step", "--optimizer.step_epochs", "[1]"],
            r"`optimizer.step_epochs`.*\(1,\)",
        ),
        (["--optimizer.schedule", "plateau"], "`optimizer.warmup_epochs`.*1"),
        (
            [
                "--optimizer.schedule=plateau",
                "--optimizer.warmup_epochs=0",
                "--data.validation_split=null",
            ],
            "`data.validation_split`.*None",
        ),
        (["--optimizer.warmup_epochs", "4"], "`optimizer.warmup_epochs`.*4"),
        (["--optimizer.ema", "1"], "`optimizer.ema`.*1"),
        (["--optimizer.accumulation", "0"], "`optimizer.accumulation`.*0"),
        (["--optimizer.clipnorm=1", "--optimizer.clipvalue=1"], "`optimizer.clipnorm`.*1"),
        (["--optimizer.stage_rates", "{stem: 0}"], "`optimizer.stage_rates`.*stem"),
        (["--loss.label_smoothing", "1"], "`loss.label_smoothing`.*1"),
        (["--loss.class_weights", "{dark: -1}"], "`loss.class_weights`.*-1"),
        (["--loss.class_weights", "balance"], "class_weights.*balance"),
        (["--checkpoints.keep", "0"], "`checkpoints.keep`.*0"),
        (["--model.dtype", "float31"], "dtype.*float31"),
        (["--optimizer.lr", "1"], "optimizer.*lr"),
        (["--clip.crop", "900"], "crop.*900"),
        (["--seed", "-1"], "`seed`.*-1"),
    ],
)
def test_a_wrong_value_raises_an_error_with_its_key(config_file, flags, received):
    with pytest.raises(ValueError, match=received):
        read(config_file, *flags)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InvalidArgumentError, match="'nothing'") as raised:
        read("nothing")
    assert raised.value.argument == "config"


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "own.yaml").write_text("model: {name: t3d_tiny\nepochs: 3\n")
    with pytest.raises(InvalidArgumentError, match=r"`config`.*line 2.*own\.yaml"):
        read(tmp_path / "own.yaml")


def test_a_frame_rate_of_the_data_is_that_of_the_model(config_file):
    config = read(config_file, "--data.target_fps", "12.5")
    assert (config.clip_spec.fps, config.clip_spec.frame_stride) == (12.5, 1)
    config = read(config_file, "--clip.fps", "10", "--clip.frame_stride", "1")
    assert config.clip_spec.fps == 10
    with pytest.raises(InvalidArgumentError, match=r"`frame_stride`.*2.*10"):
        read(config_file, "--clip.fps", "10", "--clip.frame_stride", "2")
