"""`keras-t3d completion`: print what makes a shell complete commands, flags and choices."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Sequence
from typing import Any

import jsonargparse

from keras_t3d.errors import MissingPackageError

shtab: Any
try:
    import shtab
except ImportError:
    shtab = None


def add_arguments(parser: jsonargparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh"), help="bash or zsh")


def run(parser: jsonargparse.ArgumentParser, words: Sequence[str]) -> None:
    arguments = parser.parse_args(words)
    if shtab is None:
        raise MissingPackageError('completion needs shtab: pip install "keras-t3d[completion]"')
    print(shtab.complete(_all_commands(), arguments.shell))


def _all_commands() -> argparse.ArgumentParser:
    """Returns a parser with all commands as its subcommands, for its structure alone."""
    from keras_t3d.cli import COMMANDS, command_parser

    everything = argparse.ArgumentParser("keras-t3d")
    everything.add_argument("--version", action="store_true", help="print the version")
    commands = everything.add_subparsers()
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, add_help=False)
        _copy(command_parser(name), command)
    return everything


def _copy(source: argparse.ArgumentParser, target: argparse.ArgumentParser) -> None:
    """Adds the arguments and subcommands of a parser to another one."""
    for action in source._actions:
        if isinstance(action, argparse._SubParsersAction):
            formats = target.add_subparsers()
            for name, parser in action.choices.items():
                # Without a help, shtab would leave it out.
                _copy(parser, formats.add_parser(name, help=parser.description, add_help=False))
        else:
            names = action.option_strings or [action.dest]
            copy = target.add_argument(*names, **_options(action))
            if action.nargs != 0 and not copy.choices:
                copy.complete = shtab.FILE  # type: ignore[attr-defined]


def _options(action: argparse.Action) -> dict[str, Any]:
    """Returns the keywords of `add_argument` for an argument of jsonargparse."""
    summary = (action.help or "").replace("%(default)s", str(action.default)).replace("%", "%%")
    if action.nargs == 0:
        return {"action": "store_true", "help": summary}
    return {"nargs": action.nargs, "choices": _choices(action), "help": summary}


def _choices(action: argparse.Action) -> list[str] | None:
    """Returns the values that an argument can have, also as the members of a Literal."""
    hint = getattr(action, "_typehint", None)
    members = [hint, *typing.get_args(hint)]
    literals = [one for one in members if typing.get_origin(one) is typing.Literal]
    found = action.choices or [value for one in literals for value in typing.get_args(one)]
    return [str(value) for value in found] or None
