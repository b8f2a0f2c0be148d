"""Which tensor of a PyTorch checkpoint is which weight of our networks.

Three layouts are known: the residual and the dense networks of Hara et al.
(https://github.com/kenshohara/3D-ResNets-PyTorch) and torchvision's video ResNets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_t3d.layers import ClipBatchNormalization, ClipConv3D, FactorizedConv3D
from keras_t3d.models import VideoClassifier

LAYOUTS = {
    "resnet3d_18": "hara_resnet",
    "resnet3d_34": "hara_resnet",
    "resnet3d_50": "hara_resnet",
    "resnet3d_101": "hara_resnet",
    "resnet3d_152": "hara_resnet",
    "resnext3d_50": "hara_resnet",
    "resnext3d_101": "hara_resnet",
    "stc_resnet3d_18": "hara_resnet",
    "stc_resnet3d_50": "hara_resnet",
    "stc_resnet3d_101": "hara_resnet",
    "stc_resnext3d_50": "hara_resnet",
    "stc_resnext3d_101": "hara_resnet",
    "densenet3d_121": "hara_densenet",
    "densenet3d_169": "hara_densenet",
    "densenet3d_201": "hara_densenet",
    "r3d_18": "torchvision",
    "mc3_18": "torchvision",
    "r2plus1d_18": "torchvision_2plus1d",
}
# The convolution and the batch normalisation of the stem, and what follows the blocks.
_STEM = {
    "hara_resnet": ("conv1", "bn1"),
    "hara_densenet": ("features.conv1", "features.norm1"),
    "torchvision": ("stem.0", "stem.1"),
    "torchvision_2plus1d": ("stem", "stem.4"),
}
_END = {
    "hara_resnet": {"logits": "fc"},
    "hara_densenet": {"final_bn": "features.norm5", "logits": "classifier"},
    "torchvision": {"logits": "fc"},
    "torchvision_2plus1d": {"logits": "fc"},
}


def with_one_spelling(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors under the names of the newer scripts, without counters of batches.

    Leaves out `module.` in front, `num_batches_tracked`, and turns the older
    `features.conv0` into `features.conv1` and `denselayer1.norm.1` into `denselayer1.norm1`.

    Raises:
        ValueError: if two tensors are of the same name then.
    """
    spelled: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        new = re.sub(
            r"^features\.(conv|norm)0\.", r"features.\g<1>1.", name.removeprefix("module.")
        )
        new = re.sub(r"(denselayer\d+\.(?:conv|norm))\.([12])\.", r"\1\2.", new)
        if new in spelled:
            raise ValueError(
                f"The checkpoint has two tensors for {new!r}, in an old and a new spelling: it is "
                f"no checkpoint of one network. Received: {name!r} among them"
            )
        spelled[new] = tensor
    return spelled


def head_tensors(layout: str) -> tuple[str, str]:
    """Returns the names of the classifying layer's weight and bias."""
    head = _END[layout]["logits"]
    return f"{head}.weight", f"{head}.bias"


# Our weights by their names.


def named_weights(model: VideoClassifier, layout: str) -> dict[str, Any]:
    """Returns the weights of a network by the names of their tensors.

    A weight that the layout has no name for is left out.

    Args:
        model: one of the networks in `LAYOUTS`.
        layout: its layout.
    """
    weights: dict[str, Any] = {}
    for layer in model.layers:
        for name, part in _named_parts(layer, layout).items():
            weights.update(_weights_of(part, name))
    return weights


def _named_parts(layer: Any, layout: str) -> dict[str, Any]:
    """The convolutions, batch normalisations and dense layers in a layer of a network."""
    if layer.name == "stem":
        return dict(zip(_STEM[layout], (layer.conv, layer.bn), strict=True))
    if layer.name in _END[layout]:
        return {_END[layout][layer.name]: layer}
    if match := re.fullmatch(r"stage(\d+)_block(\d+)", layer.name):
        block = f"layer{match[1]}.{int(match[2]) - 1}"
        return _residual_parts(layer, block, ".0" if layout.startswith("torchvision") else "")
    if match := re.fullmatch(r"block(\d+)", layer.name):
        return _dense_parts(layer, f"features.denseblock{match[1]}")
    if match := re.fullmatch(r"transition(\d+)", layer.name):
        name = f"features.transition{match[1]}"
        return {f"{name}.norm": layer.branch_norms[0], f"{name}.conv": layer.branch_convs[0]}
    return {}


def _residual_parts(block: Any, name: str, inner: str) -> dict[str, Any]:
    """torchvision has each convolution and its batch normalisation in a `Sequential`."""
    parts = {}
    for number, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True), start=1):
        parts[f"{name}.conv{number}{inner}"] = conv
        parts[f"{name}.conv{number}.1" if inner else f"{name}.bn{number}"] = norm
    if hasattr(block, "shortcut_conv"):
        parts[f"{name}.downsample.0"] = block.shortcut_conv
        parts[f"{name}.downsample.1"] = block.shortcut_bn
    return parts


def _dense_parts(block: Any, name: str) -> dict[str, Any]:
    parts = {}
    for number, dense_layer in enumerate(block.dense_layers, start=1):
        kinds = ("norm1", "conv1", "norm2", "conv2")
        for kind, part in zip(kinds, dense_layer, strict=True):
            parts[f"{name}.denselayer{number}.{kind}"] = part
    return parts


def _weights_of(part: Any, name: str) -> dict[str, Any]:
    if isinstance(part, ClipConv3D):
        return {f"{name}.weight": part.kernel}
    if isinstance(part, ClipBatchNormalization):
        return {
            f"{name}.weight": part.gamma,
            f"{name}.bias": part.beta,
            f"{name}.running_mean": part.moving_mean,
            f"{name}.running_var": part.moving_variance,
        }
    if isinstance(part, FactorizedConv3D):
        return {
            **_weights_of(part.space_conv, f"{name}.0"),
            **_weights_of(part.bn, f"{name}.1"),
            **_weights_of(part.time_conv, f"{name}.3"),
        }
    return {f"{name}.weight": part.kernel, f"{name}.bias": part.bias}  # a dense layer


# Axes.

_TO_KERAS = {5: (2, 3, 4, 1, 0), 2: (1, 0)}  # (O, I, T, H, W) to (T, H, W, I, O); a matrix


def to_keras_axes(tensor: np.ndarray) -> np.ndarray:
    """Returns a tensor of PyTorch with its axes in the order of Keras."""
    return tensor.transpose(_TO_KERAS.get(tensor.ndim, range(tensor.ndim)))


def torch_shape(weight: Any) -> tuple[int, ...]:
    """Returns the shape that a weight of ours has in PyTorch."""
    shape = tuple(weight.shape)
    order = _TO_KERAS.get(len(shape), range(len(shape)))
    return tuple(shape[list(order).index(axis)] for axis in range(len(shape)))


# Which network is it?

_DENSE = {(6, 12, 24, 16): "121", (6, 12, 32, 32): "169", (6, 12, 48, 32): "201"}
_BASIC = {(2, 2, 2, 2): "18", (3, 4, 6, 3): "34"}
_BOTTLENECK = {(3, 4, 6, 3): "50", (3, 4, 23, 3): "101", (3, 8, 36, 3): "152"}


def recognised_network(tensors: Mapping[str, np.ndarray]) -> str | None:
    """Returns the name of the network that tensors in one spelling look like, if it is known."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    dense = _numbers_of(shapes, r"features\.denseblock{}\.denselayer(\d+)\.")
    if dense in _DENSE:
        return f"densenet3d_{_DENSE[dense]}"
    blocks = _numbers_of(shapes, r"layer{}\.(\d+)\.")
    if "stem.0.weight" in shapes:
        return _recognised_of_torchvision(shapes) if blocks == (2, 2, 2, 2) else None
    if "layer1.0.conv3.weight" not in shapes:
        return f"resnet3d_{_BASIC[blocks]}" if blocks in _BASIC else None
    if blocks not in _BOTTLENECK:
        return None
    filters, channels_of_group = shapes.get("layer1.0.conv2.weight", (0, 0))[:2]
    family = {(64, 64): "resnet3d", (128, 4): "resnext3d"}.get((filters, channels_of_group))
    name = f"{family}_{_BOTTLENECK[blocks]}"
    return name if name in LAYOUTS else None


def _recognised_of_torchvision(shapes: Mapping[str, tuple[int, ...]]) -> str:
    if "stem.4.weight" in shapes:
        return "r2plus1d_18"
    deep = shapes.get("layer2.0.conv1.0.weight", ())[2:3] == (3,)
    return "r3d_18" if deep else "mc3_18"


def _numbers_of(names: Mapping[str, Any], pattern: str) -> tuple[int, ...]:
    """How many different numbers stand in the pattern's group, for each of the four stages."""
    counts = []
    for stage in range(1, 5):
        matches = (re.match(pattern.format(stage), name) for name in names)
        counts.append(len({match[1] for match in matches if match}))
    return tuple(counts)
