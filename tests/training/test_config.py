import pytest

from keras_t3d.training.command_line import find_recipe, recipe_names
from keras_t3d.training.config import TrainConfig
from tests.training.tiny import read


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_a_valid_config_with_a_full_head(name):
    assert isinstance(read(name), TrainConfig)
    head = find_recipe(name).read_text().split("\nmodel:")[0]
    for word in ("command", "hardware", "time", "expect"):
        assert f"# {word}" in head, f"{name} does not state its {word}"


def test_flags_override_the_file(config_file):
    config = read(config_file, "--epochs", "7", "--data.augmentation.flip", "false")
    assert (config.epochs, config.data.augmentation.flip) == (7, False)
    assert config.data.augmentation.crop == "random"


def test_what_is_saved_reads_back_the_same(config_file, tmp_path):
    config = read(config_file)
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert read(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--epochs", "many"], "epochs"),
        (["--epochs", "0"], "epochs"),
        (["--epochz", "1"], "Did you mean epochs"),
        (["--data.batchsize", "1"], "Did you mean data.batch_size"),
        (["--optimizer.schedule", "step", "--optimizer.warmup_epochs", "0"], "step_epochs"),
        (["--optimizer.schedule", "step", "--optimizer.step_epochs", "[2, 2]"], "rising"),
        (["--optimizer.schedule", "step", "--optimizer.step_epochs", "[1]"], "after the 1 epochs"),
        (["--optimizer.schedule", "plateau"], "0 for the plateau"),
        (
            [
                "--optimizer.schedule=plateau",
                "--optimizer.warmup_epochs=0",
                "--data.validation_split=null",
            ],
            "given for the plateau",
        ),
        (["--optimizer.warmup_epochs", "4"], "below the 4 epochs"),
        (["--optimizer.ema", "1"], "between 0 and 1"),
        (["--optimizer.accumulation", "0"], "accumulation"),
        (["--optimizer.clipnorm=1", "--optimizer.clipvalue=1"], "the only one"),
        (["--optimizer.stage_rates", "{stem: 0}"], "model.freeze"),
        (["--loss.label_smoothing", "1"], "label_smoothing"),
        (["--loss.class_weights", "{dark: -1}"], "class_weights"),
        (["--loss.class_weights", "balance"], "class_weights"),
        (["--checkpoints.keep", "0"], "checkpoints.keep"),
        (["--model.dtype", "float31"], "dtype"),
        (["--optimizer.lr", "1"], "optimizer"),
        (["--clip.crop", "900"], "crop"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_wrong_values_are_refused_by_name(config_file, flags, said):
    with pytest.raises(ValueError, match=said):
        read(config_file, *flags)


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(ValueError, match="motion"):
        read("nothing")
