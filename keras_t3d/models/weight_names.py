"""How published weights name the layers of a network family.

A family lists what it can start from: `CheckpointLayout` for PyTorch checkpoints of video
networks, `ImageSource` for 2D networks. `inflation.py` and `keras_t3d.transfer` do the rest.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD
from keras_t3d.errors import InvalidArgumentError

# Pairs of a pattern that matches a whole layer name of the source, and our path of that layer,
# such as "block1/layer1_conv1": a template with groups, or a function of the groups.
LayerNames = tuple[tuple[str, str | Callable[..., str]], ...]

# Arrays or variables by the path of their layer, then by name ("kernel", "gamma").
Layers = Mapping[str, Mapping[str, Any]]

# Mean and standard deviation of R, G and B, in 0..1 units.
NORMALIZATIONS = {
    "kinetics": ((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737)),
    # Pixels 0..255 minus (114.7748, 107.7354, 99.4750), not divided.
    "activitynet": ((114.7748 / 255, 107.7354 / 255, 99.4750 / 255), (1 / 255,) * 3),
    "torchvision": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
}


@dataclasses.dataclass(frozen=True)
class CheckpointLayout:
    """How PyTorch checkpoints of one origin name and use their tensors.

    Args:
        layer_names: our layers by their layers' names, the classifying layer included.
        frame_stride: frame stride of the clips that the networks were trained on.
        normalization: key of `NORMALIZATIONS`; None if it
            differs from file to file.
        options: returns the options that a checkpoint implies, given its layers by our paths.
        not_in_file: options that do not show in the tensors, such as strides.
    """

    layer_names: LayerNames
    frame_stride: int
    normalization: str | None = None
    options: Callable[[Layers], dict[str, Any]] = lambda layers: {}
    not_in_file: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """2D networks of one origin, from which a family can be inflated.

    Args:
        layer_names: our layers by the names of the 2D network's.
        mean: mean of R, G and B that the networks were trained with, in 0..1 units.
        std: standard deviation of R, G and B, in 0..1 units.
        reads_bgr: whether the channels of the input are B, G, R.
        strides_first: whether the first 1x1 convolution of a bottleneck has the stride, where
            ours has it in the 3x3x3 convolution.
        epsilon: epsilon of our batch normalizations.
    """

    layer_names: LayerNames
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    reads_bgr: bool = False
    strides_first: bool = False
    epsilon: float = 1e-5


def rename_layers(
    names: Iterable[str], layer_names: LayerNames
) -> tuple[dict[str, str], list[str]]:
    """Returns our paths by their names, and the names that have no counterpart."""
    paths: dict[str, str] = {}
    unknown = []
    for name in names:
        matches = ((re.fullmatch(pattern, name), path) for pattern, path in layer_names)
        match, path = next((pair for pair in matches if pair[0]), (None, ""))
        if match is None:
            unknown.append(name)
        else:
            paths[name] = path(*match.groups()) if callable(path) else match.expand(path)
    return paths, unknown


def place_layers(layers: Layers, layer_names: LayerNames) -> tuple[dict[str, str], list[str]]:
    """Returns the layers by their path in our networks, and the layers that have none.

    Raises:
        InvalidArgumentError: if two layers have the same path.
    """
    paths, unknown = rename_layers(layers, layer_names)
    names: dict[str, str] = {}
    for name, path in paths.items():
        if path in names:
            raise InvalidArgumentError(
                "`checkpoint` must have one spelling of each layer. Received: "
                f"{names[path]!r} and {name!r}",
                argument="checkpoint",
            )
        names[path] = name
    return names, unknown


def weights_by_layer(model: Any) -> dict[str, dict[str, Any]]:
    """Returns the variables of a model by the path of their layer, then by name."""
    layers: dict[str, dict[str, Any]] = {}
    for variable in model.weights:
        path, _, name = variable.path.rpartition("/")
        layers.setdefault(path, {})[name] = variable
    return layers


def count_parts(paths: Iterable[str], pattern: str) -> tuple[int, ...]:
    """Returns how many parts each section has, by a pattern whose group is the section's number."""
    sections = {match[0]: int(match[1]) for path in paths if (match := re.match(pattern, path))}
    counts = Counter(sections.values())
    return tuple(counts[section] for section in sorted(counts))
