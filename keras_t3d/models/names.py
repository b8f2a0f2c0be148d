"""Networks by name, as recipes and the command line spell them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from keras_t3d.models import named_networks as networks
from keras_t3d.models.video_classifier import VideoClassifier

_FACTORIES: dict[str, Callable[..., VideoClassifier]] = {
    "densenet3d_121": networks.DenseNet3D121,
    "densenet3d_169": networks.DenseNet3D169,
    "densenet3d_201": networks.DenseNet3D201,
    "t3d_121": networks.T3D121,
    "t3d_169": networks.T3D169,
    "t3d_tiny": networks.T3DTiny,
    "resnet3d_18": networks.ResNet3D18,
    "resnet3d_34": networks.ResNet3D34,
    "resnet3d_50": networks.ResNet3D50,
    "resnet3d_101": networks.ResNet3D101,
    "resnet3d_152": networks.ResNet3D152,
    "resnext3d_50": networks.ResNeXt3D50,
    "resnext3d_101": networks.ResNeXt3D101,
    "stc_resnet3d_18": networks.STCResNet3D18,
    "stc_resnet3d_50": networks.STCResNet3D50,
    "stc_resnet3d_101": networks.STCResNet3D101,
    "stc_resnext3d_50": networks.STCResNeXt3D50,
    "stc_resnext3d_101": networks.STCResNeXt3D101,
    "r3d_18": networks.R3D18,
    "mc3_18": networks.MC3D18,
    "r2plus1d_18": networks.R2Plus1D18,
}


def list_models() -> list[str]:
    """Returns every name that `create` knows."""
    return list(_FACTORIES)


def create(
    name: str, *, input_shape: Sequence[int], num_classes: int | None = None, **kwargs: Any
) -> VideoClassifier:
    """Builds a network by name.

    Args:
        name: str. One of `list_models()`.
        input_shape: four ints (frames, height, width, 3).
        num_classes: int. Number of classes; None with `include_top=False`.
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
