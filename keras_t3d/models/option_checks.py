"""Checks of the options of networks."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import three_sizes, whole_number
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation


def checked_input_shape(input_shape: Sequence[int | None]) -> tuple[int, int, int, int]:
    """Returns (frames, height, width, 3), or raises InvalidArgumentError."""
    shape: Any = input_shape
    try:
        shape = tuple(shape)
        if len(shape) == 5 and shape[0] is None:
            shape = shape[1:]
        shape = tuple(operator.index(side) for side in shape)  # NumPy's integers too
    except TypeError:
        shape = ()
    if len(shape) != 4 or shape[-1] != 3 or min(shape) < 1:
        raise InvalidArgumentError(
            "`input_shape` must be (frames, height, width, 3), with height and width in pixels, "
            "for example (16, 112, 112, 3), or the same after a batch dimension of None. "
            f"Received: {input_shape!r}",
            argument="input_shape",
        )
    return shape


def checked_clip_spec(clip_spec: ClipSpec | None, shape: Any) -> ClipSpec:
    """Returns the ClipSpec, or the default one of the shape for None."""
    if clip_spec is None:
        return ClipSpec.for_input_shape(shape)
    if clip_spec.input_shape != shape:
        raise InvalidArgumentError(
            f"`clip_spec` must have the input shape of the network, {shape}. Received: {clip_spec} "
            f"of shape {clip_spec.input_shape}",
            argument="clip_spec",
        )
    return clip_spec


def checked_odd(name: str, kernel: int | Sequence[int]) -> tuple[int, int, int]:
    """Returns (time, height, width) of a stem's kernel, which must be odd."""
    sizes = three_sizes("stem", name, kernel)
    if not all(size % 2 for size in sizes):
        raise InvalidArgumentError(
            f"`{name}` must be three odd integers (time, height, width), for example (3, 7, 7). "
            f"Received: {kernel!r}",
            argument=name,
        )
    return sizes


def checked_depths(name: str, counts: Any, example: str) -> tuple[int, ...]:
    """Returns the number of layers or blocks of each section of a network."""
    if not isinstance(counts, (tuple, list)) or not counts:
        raise InvalidArgumentError(
            f"`{name}` must be integers, one for each section of the network, for example "
            f"{example}. Received: {counts!r}",
            argument=name,
        )
    return tuple(whole_number("model", name, count) for count in counts)


def check_stc(stc: str | None, options: Mapping[str, Any] | None, places: Sequence[Any]) -> None:
    """Raises InvalidArgumentError if STC options do not fit, before any layer is built."""
    if stc not in places:
        raise InvalidArgumentError(
            f"`stc` must be one of {tuple(places)}. Received: {stc!r}", argument="stc"
        )
    if options and stc is None:
        raise InvalidArgumentError(
            f"`stc_options` need STC blocks: set `stc` too, to one of {tuple(places[1:])}. "
            f"Received: stc_options={dict(options)!r}",
            argument="stc_options",
        )
    SpatioTemporalChannelCorrelation(**(options or {}))  # checks their values
