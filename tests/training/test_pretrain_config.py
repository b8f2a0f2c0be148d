import pytest

from keras_t3d.training.command_line import find_recipe, recipe_names
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig
from tests.training import tiny


def read(path, *flags):
    return tiny.read(path, *flags, config_class=PretrainConfig)


def test_yaml_reads_back_the_same(pretraining_file, tmp_path):
    config = read(pretraining_file, "--objective.hidden", "[8]", "--inflate", "teacher")
    assert (config.objective.hidden, config.inflate, config.cache_features) == (
        (8,), "teacher", False,
    )  # fmt: skip
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert read(tmp_path / "again.yaml") == config


def test_defaults_are_the_papers_where_they_are_known():
    config = PretrainConfig()
    objective = config.objective
    assert (objective.kind, objective.features, objective.hidden) == ("matching", 1024, (512, 128))
    assert (config.teacher.network, config.teacher.weights) == ("DenseNet121", "imagenet")
    assert (config.data.validation_split, config.data.batch_size, config.epochs) == ("val", 32, 150)


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (["--epochs", "0"], "epochs"),
        (["--seed", "-1"], "seed"),
        (["--optimizer.warmup_epochs", "4"], "`optimizer.warmup_epochs`.*4"),
        (["--model.dropout", "0.5"], "`model.dropout`.*0.5"),
        (["--model.freeze", "[stem]"], "model.freeze"),
        (["--data.augmentation.mixup", "0.5"], "`data.augmentation.mixup`.*0.5"),
        (["--data.augmentation.cutmix", "0.5"], "`data.augmentation.cutmix`.*0.5"),
        (["--data.augmentation.no_flip_classes", "[dark]"], "no_flip_classes`.*dark"),
        (["--data.batch_size", "1"], "`data.batch_size`.*2.*1"),
        (["--objective.kind=contrast", "--data.batch_size=1"], "`data.batch_size`.*2.*1"),
        (["--objective.negatives", "5"], "`data.batch_size`.*6.*5"),
        (["--optimizer.accumulation", "5"], "`data.batch_size`.*10.*5"),
        (["--objective.kind", "matchin"], "kind"),
        (["--objective.hidden", "[]"], "objective.hidden"),
        (["--objective.hidden", "[8, 0]"], "objective.hidden"),
        (["--objective.features", "0"], "objective.features"),
        (["--objective.negatives", "0"], "objective.negatives"),
        (["--objective.contrast_features", "0"], "objective.contrast_features"),
        (["--objective.temperature", "0"], "objective.temperature"),
        (["--teacher.preprocessing", "auto"], "`teacher.preprocessing`.*auto"),
        (["--teacher.preprocessing", "caffee"], "preprocessing"),
        (["--teacher.weights", "none"], "`teacher.weights`.*none"),
        (["--teacher.network", ""], "teacher.network"),
        (["--teacher.image_size", "0"], "teacher.image_size"),
        (["--inflate", ""], "inflate"),
        (["--inflate_mode", "median"], "inflate_mode"),
        (["--teacher.netwrok", "x"], "teacher.netwrok.*teacher.network"),
        (["--objective.negtives", "2"], "objective.negtives.*objective.negatives"),
        (["--optimizer.schedule=plateau", "--optimizer.warmup_epochs=0",
          "--data.validation_split=null"], "`data.validation_split`.*None"),
    ],
)  # fmt: skip
def test_a_wrong_value_raises_an_error_with_its_key(pretraining_file, flags, received):
    with pytest.raises(ValueError, match=received):
        read(pretraining_file, *flags)


def test_regression_allows_a_batch_of_one(pretraining_file):
    assert read(pretraining_file, "--objective.kind=regression", "--data.batch_size=1")


class TestRecipesOfAnotherCommand:
    def test_each_command_lists_its_own_recipes(self):
        assert "pretrain_motion" in recipe_names(PretrainConfig)
        assert not set(recipe_names(PretrainConfig)) & set(recipe_names())
        assert "motion" in recipe_names()

    @pytest.mark.parametrize("as_path", [False, True])
    @pytest.mark.parametrize(
        ("name", "config_class", "right"),
        [("motion", PretrainConfig, "train"), ("pretrain_motion", TrainConfig, "pretrain")],
    )
    def test_the_error_names_the_right_command(self, name, config_class, right, as_path):
        given = find_recipe(name, TrainConfig if right == "train" else PretrainConfig)
        given = str(given) if as_path else name
        with pytest.raises(ValueError, match=f"keras-t3d {right} --config {given}"):
            tiny.read(given, config_class=config_class)

    def test_the_keys_of_a_file_tell_its_command(self, pretraining_file, tmp_path):
        with pytest.raises(ValueError, match="keras-t3d pretrain --config"):
            tiny.read(pretraining_file)
        (tmp_path / "t.yaml").write_text("loss: {label_smoothing: 0.1}\n")
        with pytest.raises(ValueError, match="keras-t3d train --config"):
            read(tmp_path / "t.yaml")
        (tmp_path / "either.yaml").write_text("epochs: 3\n")
        assert tiny.read(tmp_path / "either.yaml").epochs == 3
        assert read(tmp_path / "either.yaml").epochs == 3
