"""Checks the arguments of a network family by the names that its users know."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from keras_t3d.errors import InvalidArgumentError, did_you_mean


def check_call(
    name: str, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Raises InvalidArgumentError if a call does not fit the signature of a network.

    Args:
        name: name of the class or function that is called, for the message.
        signature: its signature.
        args: the positional arguments.
        kwargs: the keyword arguments.
    """
    known = list(signature.parameters)
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    for option, value in kwargs.items():
        if option not in known:
            raise InvalidArgumentError(
                f"{name} has no argument `{option}`.{did_you_mean(option, known)} "
                f"Its arguments are {known}. Received: {option}={value!r}",
                argument=option,
            )
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidArgumentError(
            f"{name} must be called with `input_shape`, and with options by name, for example "
            f"{name}((16, 112, 112, 3), num_classes=101). Received: {error}"
        ) from None
