"""Rewrites error messages of jsonargparse as users of this package know options."""

from __future__ import annotations

import re
from collections.abc import Collection

from keras_t3d.errors import did_you_mean

_KEY = re.compile(r'Parser key "([\w.]+)": ')
_CHOICES = re.compile(r"Expected a typing\.Literal\[(.*?)\]\. Got value: (.*)$")
_TYPE = re.compile(r"Expected a (.*?)\. Got value: (.*)$")
_GROUP = re.compile(r'`([\w.]+)` Unable to load config .* - .*Unable to load config "(.*)"$')
_UNION = re.compile(r"Does not validate .* Subtypes: \[(.*?)\] Errors: .* Given value: (.*)$")
_UNKNOWN = "unrecognized arguments: "


def explained(message: str, flags: Collection[str] = ()) -> str:
    """Returns a message in one line, with option names in backticks and a suggestion.

    Args:
        message: of an `ArgumentError`.
        flags: the flags that exist, among which the nearest to an unknown one is suggested.

    Example:

    ```python
    text = "Parser key \\"sign\\": Expected a typing.Literal['+', '-']. Got value: x"
    explained(text)  # "`sign` must be one of '+', '-'. Received: x"
    ```
    """
    text = _KEY.sub(r"`\1` ", " ".join(message.split()))
    if text.startswith(_UNKNOWN):
        unknown = text.removeprefix(_UNKNOWN).split()[0].split("=")[0]
        return f"{text}.{did_you_mean(unknown, flags)}"
    text = _GROUP.sub(r"`\1` must have keys of its own, `name: value`. Received: \2", text)
    text = _CHOICES.sub(_one_of, text)
    text = _UNION.sub(_of_type, text)
    return _TYPE.sub(_of_type, text)


def _one_of(found: re.Match[str]) -> str:
    choices = [choice.strip(" '\"") for choice in found[1].split(",")]
    return f"must be one of {found[1]}.{did_you_mean(found[2], choices)} Received: {found[2]}"


def _of_type(found: re.Match[str]) -> str:
    names = re.sub(r"<class '([\w.]+)'>", r"\1", found[1].replace("typing.", "")).split(", ")
    rule = " or ".join(names).replace("NoneType", "null")
    return f"must be of type {rule}. Received: {found[2]}"
