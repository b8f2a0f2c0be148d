"""Networks by name, as recipes and the command line spell them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from keras_t3d.models import densenet3d
from keras_t3d.models.video_classifier import VideoClassifier

_FACTORIES: dict[str, Callable[..., VideoClassifier]] = {
    "densenet3d_121": densenet3d.DenseNet3D121,
    "densenet3d_169": densenet3d.DenseNet3D169,
    "densenet3d_201": densenet3d.DenseNet3D201,
    "t3d_121": densenet3d.T3D121,
    "t3d_169": densenet3d.T3D169,
    "t3d_tiny": densenet3d.T3DTiny,
}


def list_models() -> list[str]:
    """Returns every name that `create` knows."""
    return list(_FACTORIES)


def create(
    name: str, *, input_shape: Sequence[int], num_classes: int, **kwargs: Any
) -> VideoClassifier:
    """Builds a network by name.

    Args:
        name: str. One of `list_models()`.
        input_shape: four ints (frames, height, width, 3).
        num_classes: int. Number of classes.
        **kwargs: further arguments of that network, for example `class_names`,
            `clip_spec` or `dropout`.

    Returns:
        A VideoClassifier.

    Raises:
        ValueError: if the name is unknown, or the network refuses an argument.

    Example:

    ```python
    model = keras_t3d.models.create("t3d_121", input_shape=(16, 112, 112, 3), num_classes=101)
    ```
    """
    if name not in _FACTORIES:
        close = difflib.get_close_matches(name, _FACTORIES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"No model of that name.{hint} The names are {list_models()}. Received: {name!r}"
        )
    try:
        return _FACTORIES[name](input_shape=input_shape, num_classes=num_classes, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(
            f"{name} has no such option ({error}). The docstring of its class has them all. "
            f"Received: {sorted(kwargs)}"
        ) from None
