"""The parts that every network here begins and ends with, and the checks of their arguments."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_t3d.clips import ClipSpec
from keras_t3d.layers.arguments import three_sizes, whole_number
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.clip_normalization import ClipNormalization
from keras_t3d.layers.precision import exact_dtype

EMBEDDING = "embedding"  # name of the layer whose output the classifying layer reads
POOLINGS = {"avg": layers.GlobalAveragePooling3D, "max": layers.GlobalMaxPooling3D}


def clip_input(spec: ClipSpec, dtype: Any) -> tuple[Any, Any]:
    """Returns the network's input, and the normalised clips."""
    # A uint8 input would truncate float clips without a word.
    inputs = keras.Input(spec.input_shape, name="clips", dtype="float32")
    normalization = ClipNormalization(spec.mean, spec.std, dtype=dtype, name="normalization")
    return inputs, normalization(inputs)


def head(
    x: Any,
    include_top: bool,
    num_classes: int | None,
    pooling: str | None,
    dropout: float,
    dtype: Any,
) -> Any:
    """Global pooling (`"embedding"`), dropout, and the dense layer that makes logits.

    Without top, the pooled features, or the feature map where `pooling` is None.
    """
    if pooling is not None:
        x = POOLINGS[pooling](dtype=exact_dtype(dtype), name=EMBEDDING)(x)
    if not include_top:
        return x
    if dropout:
        x = layers.Dropout(dropout, dtype=exact_dtype(dtype), name="dropout")(x)
    return layers.Dense(num_classes, dtype=exact_dtype(dtype), name="logits")(x)


# What the arguments must be.


def checked_input_shape(input_shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Returns (frames, height, width, 3), or says what is wrong with it."""
    shape = tuple(_integer("input_shape", side) for side in input_shape)
    if len(shape) != 4 or shape[-1] != 3 or min(shape) < 1:
        raise ValueError(
            "`input_shape` must be four whole numbers (frames, height, width, 3), all known, "
            f"for example (16, 112, 112, 3). Received: {input_shape!r}"
        )
    return shape


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)  # NumPy's integers too
    except TypeError:
        raise ValueError(f"`{name}` must be a whole number. Received: {value!r}") from None


def checked_head(
    include_top: bool,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    pooling: str | None,
    dropout: float,
) -> int | None:
    """Returns the number of classes, None without top, or says what is wrong."""
    if include_top and num_classes is None:
        raise ValueError(
            "`num_classes` must say how many classes there are, for example num_classes=400; "
            "or leave the classifying layer out with include_top=False. Received: None"
        )
    if not include_top and (num_classes is not None or class_names):
        raise ValueError(
            "`num_classes` and `class_names` are for the classifying layer, which "
            "include_top=False leaves out: give one or the other. Received: "
            f"num_classes={num_classes}, class_names={class_names}"
        )
    if num_classes is not None:
        num_classes = _integer("num_classes", num_classes)
        if num_classes < 1:
            raise ValueError(f"`num_classes` must be at least 1. Received: {num_classes!r}")
    if pooling not in POOLINGS and (include_top or pooling is not None):
        raise ValueError(
            f"`pooling` must be one of {tuple(POOLINGS)}; None, the whole feature map, goes with "
            f"include_top=False. Received: {pooling!r}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1), for example 0.5. Received: {dropout!r}")
    return num_classes


def checked_odd(name: str, kernel: int | Sequence[int]) -> tuple[int, int, int]:
    """Returns the three sizes of a stem's kernel, or says that they must be odd."""
    sizes = three_sizes("stem", name, kernel)
    if not all(size % 2 for size in sizes):
        raise ValueError(
            f"`{name}` must be three odd numbers (time, height, width), for example (3, 7, 7). "
            f"Received: {kernel!r}"
        )
    return sizes


def checked_depths(name: str, counts: Any, example: str) -> tuple[int, ...]:
    """Returns how many layers or blocks there are in each part, or says what is wrong."""
    if not isinstance(counts, (tuple, list)) or not counts:
        raise ValueError(
            f"`{name}` must be whole numbers, one for each part of the network, for example "
            f"{example}. Received: {counts!r}"
        )
    return tuple(whole_number("network", name, count) for count in counts)


def checked_stc(stc: str | None, options: Mapping[str, Any] | None, places: Sequence[Any]) -> None:
    """Says what is wrong with a network's STC options, before any layer is built."""
    if stc not in places:
        raise ValueError(f"`stc` must be one of {tuple(places)}. Received: {stc!r}")
    if options and stc is None:
        raise ValueError(
            f"`stc_options` are for a network with STC blocks: give `stc` too, one of "
            f"{tuple(places[1:])}. Received: stc_options={dict(options)!r}"
        )
    SpatioTemporalChannelCorrelation(**(options or {}))  # says what is wrong with them
