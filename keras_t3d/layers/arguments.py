"""Checks of the arguments of layers; messages name layer and argument."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from keras_t3d.errors import InvalidArgumentError


def whole_number(layer: str, name: str, value: Any, at_least: int = 1) -> int:
    """Returns the value as an int, NumPy's integers too, or raises InvalidArgumentError."""
    try:
        number = at_least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = at_least - 1
    if number < at_least:
        raise InvalidArgumentError(
            f"{layer}: `{name}` must be an integer of at least {at_least}, for example "
            f"{name}={max(at_least, 2)}. Received: {value!r}",
            argument=name,
        )
    return number


def three_sizes(layer: str, name: str, value: Any) -> tuple[int, int, int]:
    """Returns (time, height, width) from three integers, or from one for all."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3
    if len(values) != 3:
        raise InvalidArgumentError(
            f"{layer}: `{name}` must be one integer or three (time, height, width), "
            f"for example (1, 2, 2). Received: {value!r}",
            argument=name,
        )
    time, height, width = (whole_number(layer, name, size) for size in values)
    return time, height, width


def strided_sides(sides: Sequence[int | None], strides: Sequence[int]) -> list[int | None]:
    """Returns the sides of the output of an evenly padded convolution or pool."""
    pairs = zip(sides, strides, strict=True)
    return [None if side is None else (side - 1) // stride + 1 for side, stride in pairs]


def check_whole_steps(layer: str, causal: bool, frames: int | None, stride: int) -> None:
    """Raises InvalidArgumentError if a causal layer's last window would exceed the clip."""
    if causal and frames is not None and frames % stride:
        raise InvalidArgumentError(
            f"{layer}: with causal=True and a stride of {stride} in time, the frames must be a "
            f"multiple of {stride}: use clips of a multiple of the network's strides over time, "
            f"for example 16 frames. Received: {frames} frames",
            argument="clips",
        )


def one_of(layer: str, name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Returns the value if it is one of those allowed."""
    if value not in allowed:
        raise InvalidArgumentError(
            f"{layer}: `{name}` must be one of {allowed}. Received: {value!r}", argument=name
        )
    return value
