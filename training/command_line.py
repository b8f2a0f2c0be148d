"""Recipes and flags to a TrainConfig."""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import jsonargparse

from keras_t3d.training.config import TrainConfig

RECIPES = pathlib.Path(__file__).parent / "recipes"


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
