"""Reads recipes and command-line flags into a configuration."""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import jsonargparse
import yaml

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError, did_you_mean
from keras_t3d.parser_messages import explained
from keras_t3d.training.config import YAML_KEYS, RunConfig, TrainConfig
from keras_t3d.training.pretrain_config import PretrainConfig

RECIPES = pathlib.Path(__file__).parent / "recipes"

Config = TypeVar("Config", bound=RunConfig)


def config_parser(
    prog: str | None = None, description: str = "", config_class: type[RunConfig] = TrainConfig
) -> jsonargparse.ArgumentParser:
    """Returns a parser for the options of a configuration, from YAML (`--config`) and flags.

    Args:
        prog: name of the command in help and messages.
        description: description in help.
        config_class: TrainConfig or PretrainConfig.

    Returns:
        The parser, to which further arguments may be added.
    """
    parser = jsonargparse.ArgumentParser(
        prog=prog, description=description, exit_on_error=False, allow_abbrev=False
    )
    add_config(parser, config_class)
    return parser


def add_config(parser: jsonargparse.ArgumentParser, config_class: type[RunConfig]) -> None:
    """Adds `--config` and a flag for each field of a configuration."""
    parser.add_argument(
        "--config",
        action="config",
        help=f"YAML file or recipe name: {', '.join(recipe_names(config_class))}",
    )
    parser.add_class_arguments(ClipSpec, "clip")
    parser.add_class_arguments(config_class, skip=set(YAML_KEYS))


@overload
def parse_config(
    parser: jsonargparse.ArgumentParser, argv: Sequence[str]
) -> tuple[TrainConfig, dict[str, Any]]: ...
@overload
def parse_config(
    parser: jsonargparse.ArgumentParser, argv: Sequence[str], config_class: type[Config]
) -> tuple[Config, dict[str, Any]]: ...
def parse_config(
    parser: jsonargparse.ArgumentParser, argv: Sequence[str], config_class: Any = TrainConfig
) -> tuple[Any, dict[str, Any]]:
    """Parses a command line, in which `--config` may name a recipe.

    Args:
        parser: the parser that `config_parser` returned.
        argv: the words of the command line.
        config_class: class of the configuration, the same as for `config_parser`.

    Returns:
        The configuration, and a dict of the values of further arguments.

    Raises:
        InvalidArgumentError: if a key is unknown, a value has the wrong type or is out of its
            range, or the recipe is for another command.

    Example:

    ```python
    config, _ = parse_config(config_parser(), ["--config", "motion", "--epochs", "3"])
    ```
    """
    words = list(argv)
    for index, word in enumerate(words):
        if word == "--config" and index + 1 < len(words):
            words[index + 1] = str(find_recipe(words[index + 1], config_class))
        elif word.startswith("--config="):
            words[index] = f"--config={find_recipe(word.removeprefix('--config='), config_class)}"
    try:
        values = parser.instantiate_classes(parser.parse_args(words)).as_dict()
    except jsonargparse.ArgumentError as error:
        raise InvalidArgumentError(_explained(str(error), words, config_class)) from None
    values.pop("config")
    names = [field.name for field in dataclasses.fields(config_class)]
    config = config_class(**{name: values.pop(YAML_KEYS.get(name, name)) for name in names})
    return config, values


def _explained(message: str, words: Sequence[str], config_class: type[RunConfig]) -> str:
    """Returns a message of the parser, with the nearest key and the file, if one was given."""
    known = _dotted_keys(yaml.safe_load(config_class().to_yaml()))
    text = explained(message, [f"--{key}" for key in known])
    hint = "" if "Did you mean" in text else _suggest_key(message, known)
    files = [word.removeprefix("--config=") for word in words if word.endswith(".yaml")]
    names = re.findall(r"[`']([\w.]+)[`']", text)
    is_in_file = bool(files and names) and not any(names[0] in word for word in words)
    return f"{text}{hint}" + (f" (in {files[-1]})" if is_in_file else "")


def _suggest_key(message: str, known: Sequence[str]) -> str:
    """Returns a suggestion for an unknown key in a message of the parser."""
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


def recipe_names(config_class: type[RunConfig] = TrainConfig) -> list[str]:
    """Returns the names of the recipes for a configuration's command."""
    paths = sorted(RECIPES.glob("*.yaml"))
    return [path.stem for path in paths if _command_of(path) == config_class.command]


def find_recipe(name_or_path: str, config_class: type[RunConfig] = TrainConfig) -> pathlib.Path:
    """Returns the path of a recipe, or of a YAML file.

    Raises:
        InvalidArgumentError: if there is no such recipe, or it is for another command.
    """
    path = pathlib.Path(name_or_path)
    if not path.is_file():
        path = RECIPES / f"{name_or_path}.yaml"
    if not path.is_file():
        names = recipe_names(config_class)
        raise InvalidArgumentError(
            f"`config` must be a YAML file or one of the recipes {', '.join(names)}."
            f"{did_you_mean(name_or_path, names)} Received: {name_or_path!r}",
            argument="config",
        )
    try:
        command = _command_of(path)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise InvalidArgumentError(
            f"`config` must be a file of YAML: {' '.join(str(error).split())}. Received: {path}",
            argument="config",
        ) from None
    if command not in (None, config_class.command):
        raise InvalidArgumentError(
            f"The configuration is for another command: keras-t3d {command} --config "
            f"{name_or_path}. Received: {name_or_path!r} for keras-t3d {config_class.command}",
            argument="config",
        )
    return path


def _command_of(path: pathlib.Path) -> str | None:
    """Returns the command of a recipe, or whose keys another file has; None if it fits both."""
    if path.resolve().parent == RECIPES.resolve():
        return "pretrain" if path.name.startswith("pretrain_") else "train"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("it holds no keys, such as `epochs: 3`")
    keys = set(content)
    fields = {
        config_class.command: {field.name for field in dataclasses.fields(config_class)}
        for config_class in (TrainConfig, PretrainConfig)
    }
    if keys & (fields["pretrain"] - fields["train"]):
        return "pretrain"
    return "train" if keys & (fields["train"] - fields["pretrain"]) else None
