"""2D networks whose weights a network family can take over, by the paths of our layers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.checkpoint_parts import network_part
from keras_t3d.models.registry import configurations
from keras_t3d.models.weight_names import ImageSource, rename_layers
from keras_t3d.weights.checkpoint_file import read_checkpoint
from keras_t3d.weights.tensors import group_tensors, list_some

Layers = dict[str, dict[str, np.ndarray]]  # values by the path of a layer, then by name

_TORCH_EPSILON = 1e-5
_STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclasses.dataclass(frozen=True)
class ImageNetwork:
    """A 2D network with the names, RGB channels and epsilon of our layers.

    Args:
        name: name of the model, or of the checkpoint file.
        source: names and pixels of the networks of this origin.
        layers: weights by the path of our layer, all but the classifying layer's.
        names: the 2D network's own layer names by our paths.
    """

    name: str
    source: ImageSource
    layers: Layers
    names: dict[str, str]


def read_image_network(source: Any) -> ImageNetwork:
    """Reads a 2D network from a Keras model, a dict of torchvision's weights, or their file.

    Raises:
        InvalidArgumentError: if no network family knows the names of its layers.
    """
    if isinstance(source, keras.Model):
        layers = {layer.name: layer for layer in source.layers if layer.weights}
        body = [name for name in layers if not isinstance(layers[name], keras.layers.Dense)]
        head = [name for name in layers if name not in body]
        return _named(
            source.name, body, head, lambda name, epsilon: _keras_values(layers, name, epsilon)
        )
    if isinstance(source, (str, os.PathLike)):
        return _read_torch(read_checkpoint(source), os.path.basename(source))
    if isinstance(source, Mapping):
        return _read_torch(source, "torchvision weights")
    raise InvalidArgumentError(
        "`source` must be a Keras model, for example keras.applications.DenseNet121(), a dict of "
        f"torchvision's weights, or the path of a checkpoint. Received: {source!r}",
        argument="source",
    )


def _read_torch(weights: Mapping[str, Any], name: str) -> ImageNetwork:
    layers = group_tensors(network_part(weights).tensors)
    head = [layer for layer in layers if layer in ("fc", "classifier")]
    body = [layer for layer in layers if layer not in head]
    return _named(
        name, body, head, lambda layer, epsilon: _torch_values(layer, layers[layer], epsilon)
    )


def _named(
    network: str,
    body: list[str],
    head: list[str],
    values: Callable[[str, float], dict[str, np.ndarray]],
) -> ImageNetwork:
    source, paths = _find_source(network, body)
    layers = {paths[name]: values(name, source.epsilon) for name in body}
    if source.reads_bgr:
        kernel = layers["stem/conv"]["kernel"]
        layers["stem/conv"] = {"kernel": kernel[:, :, ::-1]}
    names = {paths[name]: name for name in body}
    return ImageNetwork(network, source, layers, names | {name: name for name in head})


def _find_source(network: str, layers: list[str]) -> tuple[ImageSource, dict[str, str]]:
    """Returns the origin whose names the layers have, and our paths by these names."""
    families = dict.fromkeys(configuration.family for configuration in configurations().values())
    attempts: list[list[str]] = []
    for source in (source for family in families for source in family.image_sources):
        paths, unknown = rename_layers(layers, source.layer_names)
        if not unknown and "stem/conv" in paths.values():
            return source, paths
        attempts.append(unknown or layers)
    fewest = min(attempts, key=len)
    raise InvalidArgumentError(
        "`source` must be a 2D DenseNet, ResNet (not V2) or ResNeXt whose layers are named as in "
        "keras.applications ('conv2_block1_1_conv') or torchvision ('layer1.0.conv1.weight'). "
        f"Received: {network!r} with the layers {list_some(fewest)}",
        argument="source",
    )


def _keras_values(layers: Mapping[str, Any], name: str, epsilon: float) -> dict[str, np.ndarray]:
    layer = layers[name]
    if not isinstance(layer, keras.layers.BatchNormalization):
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        return {"kernel": kernel.swapaxes(2, 3) if is_depthwise else kernel}
    statistics = {key: keras.ops.convert_to_numpy(getattr(layer, key)) for key in _STATISTICS}
    bias = getattr(layers.get(name.removesuffix("bn") + "conv"), "bias", None)
    if bias is not None:  # our convolutions have none: subtract it from the mean
        statistics["moving_mean"] = statistics["moving_mean"] - keras.ops.convert_to_numpy(bias)
    return _with_epsilon(statistics, layer.epsilon, epsilon)


def _torch_values(
    name: str, weights: dict[str, np.ndarray], epsilon: float
) -> dict[str, np.ndarray]:
    if set(weights) == set(_STATISTICS):
        return _with_epsilon(weights, _TORCH_EPSILON, epsilon)
    if set(weights) == {"kernel"} and weights["kernel"].ndim == 4:
        return weights
    shapes = {key: value.shape for key, value in weights.items()}
    raise InvalidArgumentError(
        f"`source` must have 2D convolutions without a bias and batch normalizations. Received: "
        f"{name!r} with {shapes}",
        argument="source",
    )


def _with_epsilon(
    statistics: Mapping[str, np.ndarray], theirs: float, ours: float
) -> dict[str, np.ndarray]:
    variance = statistics["moving_variance"] + (theirs - ours)
    return {**statistics, "moving_variance": variance}
