"""What all commands are made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

MODEL = ".keras file, SavedModel folder or .tflite file"
HOP = "seconds from one window to the next (default: half a window)"
SMOOTHING = "mean:N over the last N windows, or exponential:W, the newest one's weight"


class CommandError(RuntimeError):
    """A command did its work in part; the message says what failed."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says a default only where there is one to say."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, (), argparse.SUPPRESS) or action.required:
            return action.help
        return super()._get_help_string(action)


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help_text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}.",
        formatter_class=HelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
