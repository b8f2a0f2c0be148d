"""Validation of configurations."""

from __future__ import annotations

import operator
from typing import Any

from keras_t3d.errors import InvalidArgumentError


def check_values(options: Any, section: str, *rules: tuple[str, bool, str]) -> None:
    """Checks the values of a configuration, or of its section of that name.

    A rule is the name of an option, whether its value is valid, and what it must be, with an
    example. Raises InvalidArgumentError for the first value that is not valid.
    """
    for name, is_valid, rule in rules:
        if not is_valid:
            key = f"{section}.{name}" if section else name
            value = operator.attrgetter(name)(options)
            raise InvalidArgumentError(f"`{key}` must be {rule}. Received: {value!r}", argument=key)
