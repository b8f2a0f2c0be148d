"""Flags that derive from options dataclasses and function signatures."""

from __future__ import annotations

import argparse
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import docstring_parser
import jsonargparse

from keras_t3d.inference.artifact_formats import ARTIFACT_FORMATS
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.smoothing import parse_smoothing

MODEL = " or ".join([".keras file", *(known.description for known in ARTIFACT_FORMATS)])
SHARDS = "folder that `keras-t3d convert` wrote"


def add_options(
    parser: Any,
    declaration: Callable[..., Any],
    *,
    skip: Collection[str] = (),
    flags: Mapping[str, str] | None = None,
) -> None:
    """Adds one flag for each option of a declaration.

    Name, type, default and help of a flag are those of the option: `short_side: int = 128` becomes
    `--short-side`, described by its line in the docstring's `Args`. False becomes a switch; what
    may be True, False or None becomes a pair (`--frozen`, `--no-frozen`).

    Args:
        parser: parser of the subcommand, or a group of its arguments.
        declaration: dataclass whose fields, or function whose arguments with a default, are
            options.
        skip: names of options that get no flag.
        flags: flags by option name, where they differ from the name with dashes.

    Example:

    ```python
    add_options(parser, ConversionOptions)
    add_options(parser, evaluate, skip=("progress",), flags={"num_views": "--views"})
    ```
    """
    helps = _descriptions(declaration)
    for name, option in inspect.signature(declaration).parameters.items():
        if option.default is option.empty or name in skip:
            continue
        flag = (flags or {}).get(name, f"--{name.replace('_', '-')}")
        parser.add_argument(
            flag,
            dest=name,
            help=helps.get(name),
            **_kind(_hint(option, declaration), option.default),
        )


def selected(arguments: jsonargparse.Namespace, declaration: Callable[..., Any]) -> dict[str, Any]:
    """Returns the parsed values that a declaration takes, by name.

    Example:

    ```python
    options = ConversionOptions(**selected(arguments, ConversionOptions))
    ```
    """
    names = inspect.signature(declaration).parameters
    values = {name: value for name, value in vars(arguments).items() if name in names}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def given(arguments: jsonargparse.Namespace, declaration: Callable[..., Any]) -> dict[str, Any]:
    """Returns what `selected` does, without None, which stands for the declaration's default."""
    values = selected(arguments, declaration)
    return {name: value for name, value in values.items() if value is not None}


def add_window_options(parser: Any, skip: Collection[str] = ()) -> None:
    """Adds the flags of `WindowOptions` that commands have."""
    add_options(parser, WindowOptions, skip=("hop_frames", "smoothing", "num_crops", *skip))
    parser.add_argument(
        "--smoothing",
        metavar="RULE",
        help="mean:N averages the last N windows; exponential:W weighs the newest by W",
    )


def window_options(arguments: jsonargparse.Namespace) -> WindowOptions:
    """Returns the WindowOptions of a command line."""
    values = given(arguments, WindowOptions)
    if arguments.smoothing is not None:
        values["smoothing"] = parse_smoothing(arguments.smoothing)
    return WindowOptions(**values)


def flags_of(parser: jsonargparse.ArgumentParser) -> dict[str, str]:
    """Returns how a command line spells each argument, by the argument's name."""
    spelled: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                spelled |= flags_of(subparser)
        else:
            spelled[action.dest] = next(iter(action.option_strings), str(action.metavar))
    return spelled


def _descriptions(declaration: Callable[..., Any]) -> dict[str, str]:
    """Returns what docstrings state of each option; subclasses add to their base classes."""
    found: dict[str, str] = {}
    owners = inspect.getmro(declaration) if inspect.isclass(declaration) else (declaration,)
    for owner in reversed(owners):
        documented = docstring_parser.parse(
            inspect.cleandoc(owner.__doc__ or ""), docstring_parser.DocstringStyle.GOOGLE
        )
        found |= {
            one.arg_name: " ".join((one.description or "").split()) for one in documented.params
        }
    return found


def _hint(option: inspect.Parameter, declaration: Callable[..., Any]) -> Any:
    """Evaluates an annotation; others of the same function may be known to type checkers only."""
    if inspect.isclass(declaration):
        return typing.get_type_hints(declaration)[option.name]
    if not isinstance(option.annotation, str):
        return option.annotation
    return eval(option.annotation, vars(sys.modules[declaration.__module__]))


def _kind(hint: Any, default: Any) -> dict[str, Any]:
    """Returns the keywords of `add_argument` for a type."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = typing.get_args(hint) if is_union else (hint,)
    alternatives = [member for member in members if member is not type(None)]
    if alternatives == [bool]:
        if default is False:
            return {"action": "store_true"}
        return {"action": argparse.BooleanOptionalAction, "default": default}
    if str in alternatives:  # without a type, `null` and the empty string stay strings
        return {"default": default}
    if typing.get_origin(alternatives[0]) in (tuple, Sequence):
        items = typing.get_args(alternatives[0])[0]
        return {"type": items, "nargs": "+", "default": list(default or ())}
    return {"type": hint, "default": default}
