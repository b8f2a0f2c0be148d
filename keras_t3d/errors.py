"""Exceptions and warnings whose messages are meant for users.

The command prints them as one line, and any other exception as a bug of this package, with its
traceback.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable
from typing import Any


class KerasT3DError(Exception):
    """Base class of errors that users can cause and correct."""


class KerasT3DWarning(UserWarning):
    """Base class of what users should know about their data and models."""


class InvalidArgumentError(KerasT3DError, ValueError):
    """An argument, option or configuration key has an invalid value.

    The message names arguments in backticks as Python callers write them (`short_side`); the
    command line shows them as flags (--short-side).

    Args:
        message: what is wrong, the rule, an example of a valid value, `Received: ...`.
        argument: name of the argument, if there is one.

    Example:

    ```python
    raise InvalidArgumentError(
        f"`workers` must be at least 1, for example 2. Received: {workers}", argument="workers"
    )
    ```
    """

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


def check_argument(argument: str, value: object, is_valid: bool, rule: str) -> None:
    """Raises InvalidArgumentError unless an argument is valid.

    Args:
        argument: name of the argument.
        value: its value.
        is_valid: whether it follows the rule.
        rule: what it must be, with an example of a valid value.

    Example:

    ```python
    check_argument("workers", 2, 2 >= 1, "at least 1, for example 2")
    ```
    """
    if not is_valid:
        message = f"`{argument}` must be {rule}. Received: {value!r}"
        raise InvalidArgumentError(message, argument=argument)


def check_integer(name: str, value: Any, lowest: int, example: int) -> None:
    """Raises an InvalidArgumentError unless `value` is an integer of at least `lowest`."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    rule = f"an integer of at least {lowest}, for example {example}"
    check_argument(name, value, is_integer and value >= lowest, rule)


class MissingPackageError(KerasT3DError, ImportError):
    """An optional package is not installed; the message has the `pip install` command."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a sentence, after a space, that suggests the nearest known name; empty if none is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
