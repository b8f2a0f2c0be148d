"""Recipes load and build their networks, and the commands in their heads parse."""

import contextlib
import dataclasses
import functools
import re
import shlex

import pytest

from keras_t3d.cli import command_parser
from keras_t3d.training.command_line import config_parser, find_recipe, parse_config, recipe_names
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.network import network_for, student_for
from keras_t3d.training.objective import highest_rate, new_optimizer
from keras_t3d.training.pretrain_config import PretrainConfig
from keras_t3d.training.pretraining import new_transfer
from keras_t3d.transfer import load_teacher

pytestmark = [pytest.mark.fit, pytest.mark.usefixtures("zeros_for_initial_values")]

NAMES = recipe_names()
PRETRAININGS = recipe_names(PretrainConfig)
OF_PAPERS = [name for name in NAMES if name != "motion" and "own" not in name]
FROM_KINETICS = [name for name in NAMES if name.endswith("_from_kinetics")]
SHALLOW = {
    "t3d": {"block_layers": [1, 1, 1, 1]},
    "t3d_lite0": {"depth": 0.2},
    "stc": {"stage_blocks": [1, 1, 1, 1]},
}


@functools.cache
def config_of(name):
    return parse_config(config_parser(), ["--config", name])[0]


@functools.cache
def pretraining_of(name):
    parser = config_parser(config_class=PretrainConfig)
    return parse_config(parser, ["--config", name], PretrainConfig)[0]


def path_of(name):
    return find_recipe(name, PretrainConfig if name in PRETRAININGS else TrainConfig)


def head_of(name):
    """The comment above the values, below its title: the text of each of its keys."""
    comment = path_of(name).read_text().split("\nmodel:")[0].split("\n#\n")[1]
    lines = "\n".join(line.removeprefix("# ") for line in comment.splitlines())
    entries = re.findall(r"^(\w+) +(.*(?:\n .*)*)", lines, re.MULTILINE)
    return {key: re.sub(r"\n +", "\n", text) for key, text in entries}


def commands_of(name):
    """The words of each command in the head, by the command's name."""
    text = head_of(name)["command"].replace("\\\n", " ")
    found = re.findall(r"^keras-t3d (\w+) (.*)$", text, re.MULTILINE)
    return {command: shlex.split(words.removesuffix(", or")) for command, words in found}


def train_words(name):
    parser = config_parser()
    for flag in ("--run-dir", "--init"):
        parser.add_argument(flag)
    return parse_config(parser, commands_of(name)["train"])


def pretrain_words(name):
    parser = config_parser(config_class=PretrainConfig)
    parser.add_argument("--run-dir")
    parser.add_argument("--cache-features", dest="caches", action="store_true")
    return parse_config(parser, commands_of(name)["pretrain"], PretrainConfig)


def shallow(model):
    """The recipe's network with one layer a stage: strides, stages and rules are the same."""
    if model.name == "t3d_tiny":
        return model
    options = SHALLOW.get(model.name) or SHALLOW[model.name.split("_")[0]]
    return dataclasses.replace(model, options={**model.options, **options})


@pytest.fixture(scope="module")
def shallow_network():
    """Makes the shallow network of a recipe, once for all recipes with the same network."""
    networks = {}

    def make(config):
        key = repr((config.model, config.clip_spec))
        if key not in networks:
            model = shallow(config.model)
            networks[key] = network_for(model, config.clip_spec, ("run", "walk"))
        return networks[key]

    return make


@pytest.mark.parametrize("name", NAMES)
class TestEveryRecipe:
    def test_network_clips_and_optimizer_fit(self, name, shallow_network):
        config = config_of(name)
        network = shallow_network(config)
        assert network.output_shape == (None, 2)
        assert network.input_shape == (None, *config.clip_spec.input_shape)
        new_optimizer(config, network, steps=10)  # refuses stages that the network lacks
        assert highest_rate(config) == config.optimizer.learning_rate

    def test_its_train_command_is_this_recipe(self, name):
        config, others = train_words(name)
        assert commands_of(name)["train"][:2] == ["--config", name]
        assert others["run_dir"].startswith("runs/")
        shards = config.data.shards.rstrip("/")
        assert dataclasses.replace(config, data=config_of(name).data) == config_of(name)
        assert shards == config_of(name).data.shards

    def test_its_commands_parse_and_fit_each_other(self, name):
        commands = commands_of(name)
        if name == "motion":  # the demo does the rest
            assert vars(command_parser("demo").parse_args(commands["demo"]))["out"] == "demo"
            return
        config, others = train_words(name)
        convert = command_parser("convert").parse_args(commands["convert"])
        evaluate = command_parser("evaluate").parse_args(commands["evaluate"])
        assert convert.out == evaluate.shards == config.data.shards
        # Frames are stored for other networks too.
        margin = 32 if name in ("own_videos", "own_videos_stream") else 0
        assert convert.short_side == config.clip_spec.resize + margin
        assert evaluate.model == f"{others['run_dir']}/best.keras"

    def test_no_line_is_too_long_to_read(self, name):
        lines = find_recipe(name).read_text().splitlines()
        assert max(len(line) for line in lines) <= 100


@pytest.mark.parametrize("name", OF_PAPERS)
class TestRecipesOfThePapers:
    def test_values_of_the_papers(self, name):
        config = config_of(name)
        optimizer, augmentation = config.optimizer, config.data.augmentation
        assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.9, True)
        assert (optimizer.l2, optimizer.weight_decay, optimizer.decay_all) == (1e-4, 0, True)
        assert (config.data.batch_size, optimizer.base_batch_size) == (64, 64)
        assert (augmentation.crop, augmentation.flip) == ("corners", True)
        assert augmentation.scales == (
            config.clip_spec.crop / config.clip_spec.resize,
        )  # 224 of 256

    def test_clips(self, name):
        clip = config_of(name).clip_spec
        if "t3d" in name:
            sizes = (clip.num_frames, clip.frame_stride, clip.resize, clip.crop)
            assert sizes == (32, 2, 256, 224)
        else:
            frames = int(found[0]) if (found := re.findall(r"_(\d\d)$", name)) else 64
            assert (clip.num_frames, clip.crop) == (frames, 112)

    def test_the_plateau_schedule_is_for_kinetics_only(self, name):
        """Only Kinetics has a validation split, and the test split must not be one."""
        config = config_of(name)
        is_kinetics = name.startswith("kinetics")
        assert config.data.validation_split == ("val" if is_kinetics else None)
        assert (config.optimizer.schedule == "plateau") == is_kinetics
        fresh = is_kinetics or name in ("ucf101_t3d121", "hmdb51_t3d121")
        assert config.optimizer.learning_rate == (0.1 if fresh else 0.01)
        assert config.epochs == 200 if fresh else config.epochs < 200

    def test_it_is_evaluated_by_its_papers_protocol(self, name):
        evaluate = command_parser("evaluate").parse_args(commands_of(name)["evaluate"])
        assert evaluate.protocol == ("t3d" if "t3d" in name else "stc")
        assert evaluate.split == ("val" if name.startswith("kinetics") else "test")

    def test_small_sets_use_the_first_split(self, name):
        if name.startswith("kinetics"):
            return
        convert = command_parser("convert").parse_args(commands_of(name)["convert"])
        assert convert.split_id == 1
        assert convert.layout == name.split("_")[0]


@pytest.mark.parametrize("name", FROM_KINETICS)
def test_fine_tuning_starts_from_the_network_that_the_kinetics_recipe_trains(name):
    config, others = train_words(name)
    runs = {
        f"{train_words(source)[1]['run_dir']}/best.keras": config_of(source)
        for source in NAMES
        if source.startswith("kinetics")
    }
    source = runs[others["init"]]
    assert (config.model.name, config.model.options) == (source.model.name, source.model.options)
    assert config.clip_spec == source.clip_spec
    assert config.optimizer.stage_rates == {"head": 10}


def test_values_of_the_motion_recipe():
    config = config_of("motion")
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.l2) == (0.05, 1e-4, 0)
    assert (optimizer.schedule, optimizer.warmup_epochs, config.epochs) == ("cosine", 1.2, 12)
    assert (config.data.batch_size, config.data.augmentation.flip) == (16, False)


@pytest.mark.parametrize("name", PRETRAININGS)
class TestEveryPretraining:
    def test_its_pretrain_command_is_this_recipe(self, name):
        config, others = pretrain_words(name)
        assert commands_of(name)["pretrain"][:2] == ["--config", name]
        assert others["run_dir"].startswith("runs/")
        assert config == pretraining_of(name)

    def test_training_starts_from_its_student_with_the_same_network_and_clips(self, name):
        pretrained, others = pretrain_words(name)
        config, train_others = train_words(name)
        assert train_others["init"] == f"{others['run_dir']}/student.keras"
        assert train_others["run_dir"] != others["run_dir"]
        assert (config.model.name, config.model.options, config.clip_spec) == (
            pretrained.model.name, pretrained.model.options, pretrained.clip_spec,
        )  # fmt: skip

    def test_its_shards_are_those_of_its_convert_command(self, name):
        config, commands = pretraining_of(name), commands_of(name)
        if "convert" not in commands:  # the demo does it
            out = command_parser("demo").parse_args(commands["demo"]).out
            assert config.data.shards == f"{out}/shards"
            return
        convert = command_parser("convert").parse_args(commands["convert"])
        assert (convert.out, convert.short_side) == (config.data.shards, config.clip_spec.resize)

    def test_no_line_is_too_long_to_read(self, name):
        lines = path_of(name).read_text().splitlines()
        assert max(len(line) for line in lines) <= 100


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """By name: random weights for ImageNet's, which would be downloaded, and that of the head."""
    folder = tmp_path_factory.mktemp("teacher")
    program = shlex.split(head_of("pretrain_motion")["teacher"].partition("python -c ")[2])[0]
    with contextlib.chdir(folder):
        exec(program.replace("\\\n", ""), {})
    said = pretraining_of("pretrain_motion").teacher
    return {
        "DenseNet121": load_teacher("DenseNet121", weights=None),
        said.network: load_teacher(folder / said.network, preprocessing=said.preprocessing),
    }


@pytest.mark.parametrize("name", PRETRAININGS)
def test_student_teacher_and_optimizer_fit(name, teachers):
    config = pretraining_of(name)
    student = student_for(shallow(config.model), config.clip_spec)
    assert student.input_shape == (None, *config.clip_spec.input_shape)
    learner = new_transfer(config, teachers[config.teacher.network], student)
    learner.compile(new_optimizer(config, student, steps=10))
    assert len(learner.trainable_variables) > len(student.trainable_variables)  # a head, too
    assert highest_rate(config) == config.optimizer.learning_rate


@pytest.mark.parametrize("name", [name for name in PRETRAININGS if name != "pretrain_motion"])
class TestPretrainingsOfThePapers:
    def test_values_of_the_papers(self, name):
        config = pretraining_of(name)
        optimizer, objective = config.optimizer, config.objective
        assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.9, True)
        assert (optimizer.l2, optimizer.weight_decay, optimizer.decay_all) == (1e-4, 0, True)
        assert (optimizer.learning_rate, optimizer.factor) == (0.1, 0.1)
        assert (optimizer.schedule, optimizer.step_epochs) == ("step", (30, 60, 90, 120))
        assert (config.data.batch_size, config.epochs, config.clip_spec.num_frames) == (32, 150, 32)
        assert (objective.kind, objective.features, objective.hidden) == (
            "matching", 1024, (512, 128),
        )  # fmt: skip
        assert (config.teacher.network, config.teacher.weights) == ("DenseNet121", "imagenet")
        assert config.inflate is None
        assert not config.cache_features


def test_fine_tuning_starts_from_the_student_of_the_pretraining():
    config, others = train_words("ucf101_t3d121_transfer")
    pretrained, pretrain_others = pretrain_words("pretrain_t3d121")
    assert others["init"] == f"{pretrain_others['run_dir']}/student.keras"
    assert (config.model.name, config.clip_spec) == (pretrained.model.name, pretrained.clip_spec)
