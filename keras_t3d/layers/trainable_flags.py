"""Trainable flags of the layers inside a layer, as configurations hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_t3d.private_interfaces import flatten_layers, inner_layers


def trainable_flags(layer: Any) -> dict[str, bool]:
    """Returns the flags of the layers inside, where they differ from the layer around.

    The keys are positions: "2/0" is the first layer inside the third one. Names would not do: Keras
    makes up others for every instance of a layer without a name.
    """
    flags: dict[str, bool] = {}
    for position, inner in enumerate(inner_layers(layer)):
        if inner.trainable != layer.trainable:
            flags[str(position)] = inner.trainable
        flags |= {f"{position}/{path}": flag for path, flag in trainable_flags(inner).items()}
    return flags


def set_trainable_flags(layer: Any, flags: Mapping[str, bool]) -> dict[str, bool]:
    """Sets the flags that `trainable_flags` returned.

    Returns:
        The flags of layers that do not exist yet, as some are made when a layer is built.
    """
    unset = {}
    for path in sorted(flags, key=lambda path: path.count("/")):  # a flag sets all those inside
        inner = _layer_at(layer, path)
        if inner is None:
            unset[path] = flags[path]
        else:
            inner.trainable = flags[path]
    return unset


def copy_trainable_flags(source: Any, target: Any) -> None:
    """Sets the flags of a model like those of another one, of which it is a copy.

    Where the copy's layers differ in kind from the source's, only the model's own flag is copied.
    """
    layers = flatten_layers(source), flatten_layers(target)
    kinds = [[type(layer) for layer in each[1:]] for each in layers]
    pairs = zip(*layers, strict=True) if kinds[0] == kinds[1] else [(source, target)]
    for one, other in pairs:  # a flag sets all those inside, which follow
        if other.trainable != one.trainable:
            other.trainable = one.trainable


def _layer_at(layer: Any, path: str) -> Any:
    for position in map(int, path.split("/")):
        inside = inner_layers(layer)
        if position >= len(inside):
            return None
        layer = inside[position]
    return layer
