"""The stages of a network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError, did_you_mean

HEAD = "head"


def layers_by_stage(network: Any) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers of a VideoClassifier by stage, from the input up.

    The keys are the names of `network.stages`, and `"head"` for the layers after the last one.
    """
    names = {layer: stage for stage, layer in network.stages.items()}
    stages: dict[str, list[keras.layers.Layer]] = {stage: [] for stage in (*network.stages, HEAD)}
    below: list[keras.layers.Layer] = []
    for layer in network.layers:
        below.append(layer)
        if layer.name in names:
            stages[names[layer.name]] = below
            below = []
    stages[HEAD] = below
    return stages


def checked_stages(network: Any, names: Iterable[str], source: str) -> list[str]:
    """Returns names of stages, which stand under the configuration key `source`, as a list.

    Raises:
        InvalidArgumentError: if the network has no such stage.
    """
    known = list(layers_by_stage(network))
    names = list(names)
    for name in names:
        if name not in known:
            raise InvalidArgumentError(
                f"`{source}` must name stages of {network.name}: {', '.join(known)}."
                f"{did_you_mean(name, known)} "
                f"Received: {name!r}",
                argument=source,
            )
    return names
