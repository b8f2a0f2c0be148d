"""Checks that a state is one of the stream that it is given to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_t3d.errors import InvalidArgumentError


def check_state(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises InvalidArgumentError unless the tensors of a state are those of a stream.

    Args:
        found: what identifies each tensor of the state by name, such as its shape.
        expected: the same of the stream's.
    """
    names = sorted(found.keys() | expected.keys())
    differing = [name for name in names if found.get(name) != expected.get(name)]
    if differing:
        received = ", ".join(f"{name} {found.get(name, 'missing')}" for name in differing[:3])
        raise InvalidArgumentError(
            "`state` must be of this model: the one that its last step returned, or "
            f"`initial_state()`. Received: {received}",
            argument="state",
        )
