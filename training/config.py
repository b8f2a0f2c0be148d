"""The typed configuration of a training run: what a recipe may say."""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Sequence
from typing import Any, Literal

import jsonargparse
import yaml

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation import Augmentation

RECIPES = pathlib.Path(__file__).parent / "recipes"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Args:
        name: one of `keras_t3d.models.list_models()`.
        dropout: rate before the classifying layer.
        dtype: dtype policy: float32, mixed_bfloat16 or mixed_float16.
        options: further arguments of that network, such as `variant`.
    """

    name: str = "t3d_121"
    dropout: float = 0.0
    dtype: str = "float32"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which clips, and how they are drawn.

    Args:
        shards: folder that `keras-t3d convert` wrote.
        train_split: split to train on.
        validation_split: split that picks the best epoch; null keeps the last.
        batch_size: clips in a batch, over all devices.
        shuffle_buffer: records held to be shuffled.
        sampling: random, a clip that starts anywhere, or segments, a frame of each part.
        short: what a video shorter than the clip gives: loop, pad (its last frame) or error.
        target_fps: frames a second of training clips; null takes every `clip.frame_stride`-th.
        on_damage: error, or skip, which leaves damaged records out and reads all once before.
        augmentation: how training clips are cut out.
    """

    shards: str = "shards"
    train_split: Literal["train", "val", "test"] = "train"
    validation_split: Literal["train", "val", "test"] | None = "val"
    batch_size: int = 32
    shuffle_buffer: int = 256
    sampling: Literal["random", "segments"] = "random"
    short: Literal["loop", "pad", "error"] = "loop"
    target_fps: float | None = None
    on_damage: Literal["error", "skip"] = "error"
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """SGD with momentum, as in the papers, and its learning rate.

    Args:
        learning_rate: the highest learning rate.
        momentum: momentum.
        nesterov: whether the momentum is Nesterov's.
        weight_decay: decoupled weight decay.
        schedule: cosine (to zero), step (divided by 10 at `step_epochs`) or constant.
        warmup_epochs: epochs over which the cosine schedule first rises.
        step_epochs: epochs after which the step schedule divides by 10.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    step_epochs: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Args:
        model: which network.
        clip: what a clip is.
        data: which clips.
        optimizer: how weights move.
        epochs: passes over the training split.
        seed: seed of weights, order, clips, windows and flips.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    clip: ClipSpec = dataclasses.field(default_factory=ClipSpec)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    epochs: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            (self.epochs >= 1, "epochs", self.epochs, "at least 1, for example 100"),
            (self.seed >= 0, "seed", self.seed, "at least 0, for example 0"),
            (self.data.batch_size >= 1, "data.batch_size", self.data.batch_size, "at least 1"),
            (
                self.data.shuffle_buffer >= 1,
                "data.shuffle_buffer",
                self.data.shuffle_buffer,
                "at least 1, for example 256",
            ),
            (
                self.optimizer.schedule == "cosine" or self.optimizer.warmup_epochs == 0,
                "optimizer.warmup_epochs",
                self.optimizer.warmup_epochs,
                "0 unless the schedule is cosine",
            ),
            (
                self.optimizer.learning_rate > 0,
                "optimizer.learning_rate",
                self.optimizer.learning_rate,
                "above 0, for example 0.1",
            ),
            (
                self.optimizer.warmup_epochs < self.epochs,
                "optimizer.warmup_epochs",
                self.optimizer.warmup_epochs,
                f"below the {self.epochs} epochs, for example --optimizer.warmup_epochs 0",
            ),
            (
                self.optimizer.schedule != "step" or len(self.optimizer.step_epochs) > 0,
                "optimizer.step_epochs",
                self.optimizer.step_epochs,
                "given for the step schedule, for example [30, 60]",
            ),
        )
        for valid, name, value, rule in checks:
            if not valid:
                raise ValueError(f"Config: `{name}` must be {rule}. Received: {value!r}")

    def to_yaml(self) -> str:
        """Returns the config as YAML that `--config` reads again."""
        return yaml.safe_dump(_plain(dataclasses.asdict(self)), sort_keys=False)


def config_parser(prog: str | None = None, description: str = "") -> jsonargparse.ArgumentParser:
    """Returns a parser of the fields of TrainConfig, from YAML (`--config`) and flags."""
    parser = jsonargparse.ArgumentParser(prog=prog, description=description, exit_on_error=False)
    parser.add_argument(
        "--config",
        action="config",
        help=f"YAML file or recipe name: {', '.join(recipe_names())}",
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def parse_config(
    parser: jsonargparse.ArgumentParser, argv: Sequence[str]
) -> tuple[TrainConfig, dict[str, Any]]:
    """Reads a command line, in which `--config` may name a recipe.

    Args:
        parser: what `config_parser` returned, with any further arguments.
        argv: str. The words of the command line.

    Returns:
        The TrainConfig, and the values of the further arguments.

    Raises:
        ValueError: if a key is unknown or a value of the wrong type.

    Example:

    ```python
    config, _ = parse_config(config_parser(), ["--config", "motion", "--epochs", "3"])
    ```
    """
    words = list(argv)
    for index, word in enumerate(words):
        if word == "--config" and index + 1 < len(words):
            words[index + 1] = str(find_recipe(words[index + 1]))
        elif word.startswith("--config="):
            words[index] = f"--config={find_recipe(word.removeprefix('--config='))}"
    try:
        values = parser.instantiate_classes(parser.parse_args(words)).as_dict()
    except jsonargparse.ArgumentError as error:
        raise ValueError(f"{' '.join(str(error).split())}{_nearest_key(str(error))}") from None
    values.pop("config")
    fields = [field.name for field in dataclasses.fields(TrainConfig)]
    config = TrainConfig(**{name: values.pop(name) for name in fields})
    return config, values


def _nearest_key(message: str) -> str:
    """Guesses what an unknown key was meant to be."""
    known = _dotted_keys(dataclasses.asdict(TrainConfig()))
    for word in re.findall(r"[\w.]+", message):
        close = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
        if word not in known and close:
            return f". Did you mean {close[0]}?"
    return ""


def _dotted_keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key, value in values.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, dict):
            keys += _dotted_keys(value, f"{prefix}{key}.")
    return keys


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def recipe_names() -> list[str]:
    """Returns the names that `--config` knows without a path."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def find_recipe(name_or_path: str) -> pathlib.Path:
    """Returns the file that `--config` means: a path, or a recipe's name.

    Raises:
        ValueError: if it is neither.
    """
    path = pathlib.Path(name_or_path)
    if path.is_file():
        return path
    recipe = RECIPES / f"{name_or_path}.yaml"
    if recipe.is_file():
        return recipe
    raise ValueError(
        f"--config must be a YAML file or one of the recipes {', '.join(recipe_names())}. "
        f"Received: {name_or_path!r}"
    )
