import pytest

from keras_t3d.training.command_line import find_recipe, recipe_names
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig
from tests.training import tiny


def read(path, *flags):
    return tiny.read(path, *flags, config_class=PretrainConfig)


def test_what_is_saved_reads_back_the_same(pretraining_file, tmp_path):
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
    ("flags", "said"),
    [
        (["--epochs", "0"], "epochs"),
        (["--seed", "-1"], "seed"),
        (["--optimizer.warmup_epochs", "4"], "below the 2 epochs"),
        (["--model.dropout", "0.5"], "before the classifying layer"),
        (["--model.freeze", "[stem]"], "model.freeze"),
        (["--data.augmentation.mixup", "0.5"], "without mixup and cutmix"),
        (["--data.augmentation.cutmix", "0.5"], "without mixup and cutmix"),
        (["--data.augmentation.no_flip_classes", "[dark]"], "labels are not read"),
        (["--data.batch_size", "1"], "at least 2 for matching"),
        (["--objective.kind=contrast", "--data.batch_size=1"], "at least 2 for contrast"),
        (["--objective.negatives", "5"], "at least 6 for matching"),
        (["--optimizer.accumulation", "5"], "at least 10 for matching"),
        (["--objective.kind", "matchin"], "kind"),
        (["--objective.hidden", "[]"], "objective.hidden"),
        (["--objective.hidden", "[8, 0]"], "objective.hidden"),
        (["--objective.features", "0"], "objective.features"),
        (["--objective.negatives", "0"], "objective.negatives"),
        (["--objective.contrast_features", "0"], "objective.contrast_features"),
        (["--objective.temperature", "0"], "objective.temperature"),
        (["--teacher.preprocessing", "auto"], "does not say what it expects"),
        (["--teacher.preprocessing", "caffee"], "preprocessing"),
        (["--teacher.weights", "none"], "weights of its own"),
        (["--teacher.network", ""], "teacher.network"),
        (["--teacher.image_size", "0"], "teacher.image_size"),
        (["--inflate", ""], "inflate"),
        (["--inflate_mode", "median"], "inflate_mode"),
        (["--teacher.netwrok", "x"], "Did you mean teacher.network"),
        (["--objective.negtives", "2"], "Did you mean objective.negatives"),
        (["--optimizer.schedule=plateau", "--optimizer.warmup_epochs=0",
          "--data.validation_split=null"], "given for the plateau"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_by_name(pretraining_file, flags, said):
    with pytest.raises(ValueError, match=said):
        read(pretraining_file, *flags)


def test_a_batch_of_one_will_do_where_nothing_is_compared(pretraining_file):
    assert read(pretraining_file, "--objective.kind=regression", "--data.batch_size=1")


class TestRecipesOfTheOtherCommand:
    def test_each_command_lists_its_own(self):
        assert "pretrain_motion" in recipe_names(PretrainConfig)
        assert not set(recipe_names(PretrainConfig)) & set(recipe_names())
        assert "motion" in recipe_names()

    @pytest.mark.parametrize("as_path", [False, True])
    @pytest.mark.parametrize(
        ("name", "config_class", "right"),
        [("motion", PretrainConfig, "train"), ("pretrain_motion", TrainConfig, "pretrain")],
    )
    def test_the_right_command_is_named(self, name, config_class, right, as_path):
        given = find_recipe(name, TrainConfig if right == "train" else PretrainConfig)
        given = str(given) if as_path else name
        with pytest.raises(ValueError, match=f"keras-t3d {right} --config {given}"):
            tiny.read(given, config_class=config_class)

    def test_files_of_ones_own_are_told_by_their_keys(self, pretraining_file, tmp_path):
        with pytest.raises(ValueError, match="keras-t3d pretrain --config"):
            tiny.read(pretraining_file)
        (tmp_path / "t.yaml").write_text("loss: {label_smoothing: 0.1}\n")
        with pytest.raises(ValueError, match="keras-t3d train --config"):
            read(tmp_path / "t.yaml")
        (tmp_path / "either.yaml").write_text("epochs: 3\n")
        assert tiny.read(tmp_path / "either.yaml").epochs == 3
        assert read(tmp_path / "either.yaml").epochs == 3
