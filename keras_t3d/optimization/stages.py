"""The stages of a network."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError

HEAD = "head"


def layers_by_stage(network: Any) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers of a network by its stages, from the input up.

    Args:
        network: a VideoClassifier.

    Returns:
        Lists of layers by the names of `network.stages`, and `"head"` for the layers after the
        last stage.

    Example:

    ```python
    list(layers_by_stage(model))  # ["stem", "block1", "transition1", ..., "head"]
    ```
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
    """Returns names of stages as a list, after checking them.

    Args:
        network: a VideoClassifier.
        names: names of stages.
        source: configuration key of the names, for the message.

    Raises:
        InvalidArgumentError: if the network has no such stage.
    """
    known = list(layers_by_stage(network))
    names = list(names)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InvalidArgumentError(
                f"`{source}` must name stages of {network.name}: {', '.join(known)}.{hint} "
                f"Received: {name!r}",
                argument=source,
            )
    return names
