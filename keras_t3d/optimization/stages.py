"""Which stage of a network a layer or weight belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import keras

HEAD = "head"


def layers_by_stage(network: Any) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers of a network by its stages, from the input up.

    Args:
        network: VideoClassifier.

    Returns:
        Dict of lists of layers by the names of `network.stages`, and `"head"` for
        those behind the last stage.

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
    """Refuses names that are no stages of a network; `source` is the key they come from."""
    known = list(layers_by_stage(network))
    names = list(names)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"`{source}` must name stages of {network.name}: {', '.join(known)}.{hint} "
                f"Received: {name!r}"
            )
    return names
