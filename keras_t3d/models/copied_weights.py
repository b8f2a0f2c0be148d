"""Copies the weights of one network to another of the same kind."""

from __future__ import annotations

from typing import Any

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError

# Options of a layer that may differ from those of the layer whose weights it takes.
_FREE = ("name", "dtype", "trainable", "inner_trainable", "rematerialize", "causal")
_FREE_ENDS = ("_initializer", "_regularizer", "_constraint")


def _signature_of(layer: Any) -> tuple[Any, ...]:
    """Returns what two layers must share for the weights of one to fit the other."""
    config = {
        key: value
        for key, value in layer.get_config().items()
        if key not in _FREE and not key.endswith(_FREE_ENDS)
    }
    return [weight.shape for weight in layer.weights], config


def copy_weights(source: Any, target: Any) -> list[str]:
    """Copies all weights, but those of the head if the classes differ.

    Args:
        source: VideoClassifier whose weights are copied.
        target: VideoClassifier that takes them.

    Returns:
        Names of the layers that keep their own weights.

    Raises:
        InvalidArgumentError: if another layer differs, or mean or std of the ClipSpecs.
    """
    _check_same_normalization(target.clip_spec, source.clip_spec)
    theirs = {layer.name: layer for layer in source.layers}
    head = next((layer.name for layer in reversed(target.layers) if layer.weights), "")
    # A network without classes ends in features: it has no head to keep.
    same_classes = not target.class_names or target.class_names == source.class_names
    copied = [
        layer for layer in target.layers if layer.weights and (layer.name != head or same_classes)
    ]
    for layer in copied:
        if layer.name not in theirs or _signature_of(layer) != _signature_of(theirs[layer.name]):
            raise InvalidArgumentError(
                "`other` must be the same network with the same options; the weights of "
                f"{layer.name!r} do not fit. Received: {source.name!r} for {target.name!r}",
                argument="other",
            )
    for layer in copied:
        layer.set_weights(theirs[layer.name].get_weights())
    return [] if same_classes else [head]


def _check_same_normalization(mine: ClipSpec, theirs: ClipSpec) -> None:
    if (mine.mean, mine.std) != (theirs.mean, theirs.std):
        raise InvalidArgumentError(
            "`clip_spec` must have the mean and std that the weights were trained with: build the "
            f"network with clip_spec=ClipSpec(..., mean={theirs.mean}, std={theirs.std}). "
            f"Received: mean={mine.mean}, std={mine.std}",
            argument="clip_spec",
        )
