"""Inflation: a 3D network starts from the weights of a 2D one."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.family import NetworkFamily
from keras_t3d.models.image_networks import ImageNetwork, read_image_network
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.models.weight_names import Layers, weights_by_layer
from keras_t3d.weights.tensors import list_some

MODES = ("mean", "centre")


@dataclasses.dataclass(frozen=True)
class InflationReport:
    """Describes what `inflate` did; printing it shows a table.

    Args:
        model: name of the 3D network.
        source: name of the 2D network.
        mode: `"mean"` or `"centre"`.
        inflated: layers of the 3D network that now have weights of the 2D one, such as
            `"block1/layer1_conv1"`.
        fresh: layers that keep the weights they had.
        unused: layers of the 2D network without a counterpart, by its own names.
        notes: one sentence for each reason why features of the inflated layers differ; empty if
            still clips give the 2D network's features, as far as the mode allows.

    Example:

    ```python
    model = keras_t3d.models.DenseNet3D121((16, 64, 64, 3), num_classes=101)
    print(keras_t3d.transfer.inflate(model, keras.applications.DenseNet121(weights=None)))
    ```
    """

    model: str
    source: str
    mode: str
    inflated: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        parts = dict.fromkeys(_part(layer) for layer in (*self.inflated, *self.fresh))
        lines = [f"{self.model} from {self.source}, mode {self.mode!r}"]
        lines.append(f"{'layers':<16}{'inflated':>10}{'fresh':>8}")
        for part in parts:
            inflated, fresh = (
                sum(_part(layer) == part for layer in layers)
                for layers in (self.inflated, self.fresh)
            )
            lines.append(f"{part:<16}{inflated:>10}{fresh:>8}")
        lines.append(f"{'total':<16}{len(self.inflated):>10}{len(self.fresh):>8}")
        if self.unused:
            lines.append(f"unused of the 2D network: {len(self.unused)}, {list_some(self.unused)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def inflate(
    model: VideoClassifier,
    source: keras.Model | Mapping[str, Any] | str | os.PathLike[str],
    mode: str = "mean",
) -> InflationReport:
    """Sets the weights of a 3D network, in place, to those of the 2D network of the same depth.

    Kernels are spread over time; batch normalizations are copied, and absorb the biases of the 2D
    convolutions before them. On a still clip (one frame, repeated) a network inflated by
    `"centre"` has the features of the 2D network; by `"mean"` it has them except near the clip's
    first and last frames, where kernels reach into the padding.

    | network | source | equal up to |
    | --- | --- | --- |
    | `DenseNet3D` | `keras.applications.DenseNet121`, `169`, `201`; torchvision's | the end |
    | `T3D` | the same | `"block2"` |
    | `ResNet3D` | torchvision's ResNet and ResNeXt | the end |
    | `ResNet3D` | `keras.applications.ResNet50`, `101`, `152` | `"stage1"` |

    The last one strides a 1x1 convolution where ours strides the 3x3x3 convolution after it. STC
    blocks stay fresh, and scale the features. So does the classifying layer. Everything is
    checked before the first weight changes.

    Args:
        model: a network of a family with 2D counterparts: DenseNet3D, T3D or ResNet3D.
        source: Keras model from `keras.applications`; or torchvision's weights as a dict of
            arrays (`state_dict()`), or the path of such a checkpoint.
        mode: `"mean"`: each temporal tap gets the 2D kernel divided by their number; `"centre"`:
            the tap at the output's own frame gets the kernel, the others zeros.

    Returns:
        The layers that were inflated and those that are fresh, and reasons for differing features.

    Raises:
        InvalidArgumentError: if the networks differ in kind or depth, a weight is missing or has
            another shape, or the mean of the model's ClipSpec is not the one that the 2D network
            was trained with (see `source_normalization`).
        MissingPackageError: if the package that reads the checkpoint is not installed.

    Example:

    ```python
    model = keras_t3d.models.DenseNet3D121((16, 112, 112, 3), num_classes=101)
    source = keras.applications.DenseNet121(weights="imagenet")
    print(keras_t3d.transfer.inflate(model, source, mode="centre"))
    ```

    Reference:
        Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics
        Dataset", 2017, https://arxiv.org/abs/1705.07750 ("mean"); Girdhar et al.,
        "Detect-and-Track", 2018, https://arxiv.org/abs/1712.09184 (both)
    """
    if mode not in MODES:
        raise InvalidArgumentError(
            f"`mode` must be one of {MODES}. Received: {mode!r}", argument="mode"
        )
    network = read_image_network(source)
    targets = weights_by_layer(model)
    family = _checked_pair(model, network, targets)
    kernels = _kernels(family, network, targets, mode)
    for path, new in kernels.items():
        for name, value in new.items():
            targets[path][name].assign(value)
    return InflationReport(
        model=model.name,
        source=network.name,
        mode=mode,
        inflated=tuple(path for path in targets if path in kernels),
        fresh=tuple(path for path in targets if path not in kernels),
        unused=tuple(name for path, name in network.names.items() if path not in kernels),
        notes=tuple(_notes(family, network, kernels)),
    )


def source_normalization(
    source: keras.Model | Mapping[str, Any] | str | os.PathLike[str],
) -> dict[str, tuple[float, float, float]]:
    """Returns the mean and std that the ClipSpec of a network inflated from `source` needs.

    They are ImageNet's, the defaults, for all but the ResNets of `keras.applications`.

    Args:
        source: as for `inflate`.

    Returns:
        Dict of `mean` and `std`, each three floats (R, G, B) in 0..1 units: arguments of
        `ClipSpec`.

    Raises:
        InvalidArgumentError: if `source` is no network that `inflate` reads.

    Example:

    ```python
    source = keras.applications.ResNet50(weights=None)
    normalization = keras_t3d.transfer.inflation.source_normalization(source)
    clip_spec = keras_t3d.ClipSpec(num_frames=16, **normalization)
    ```
    """
    network = read_image_network(source)
    return {"mean": network.source.mean, "std": network.source.std}


def _checked_pair(model: Any, network: ImageNetwork, targets: Layers) -> NetworkFamily:
    if not isinstance(model, NetworkFamily) or not model.image_sources:
        raise InvalidArgumentError(
            "`model` must be a network with a 2D counterpart, for example "
            f"keras_t3d.models.DenseNet3D121(...). Received: {model!r}",
            argument="model",
        )
    mine = model.infer_options(targets)
    theirs = model.infer_options(network.layers)
    if any(mine.get(key) != value for key, value in theirs.items()):
        raise InvalidArgumentError(
            "`source` must be a network of the same kind and depth, for example "
            "keras.applications.DenseNet121 for keras_t3d.models.DenseNet3D121. Received: "
            f"{network.name!r} with {theirs} for {model.name!r} with {mine}",
            argument="source",
        )
    if not np.allclose(model.clip_spec.mean, network.source.mean, rtol=0, atol=1e-6):
        mean = tuple(round(value, 7) for value in network.source.mean)
        std = tuple(round(value, 7) for value in network.source.std)
        raise InvalidArgumentError(
            "`source` must have been trained with the mean of the model's `clip_spec`, as zero "
            "padding stands for that mean: build the model with clip_spec=ClipSpec(..., "
            f"mean={mean}, std={std}), which keras_t3d.transfer.inflation.source_normalization "
            f"returns. Received: mean={model.clip_spec.mean} for {network.name!r}",
            argument="source",
        )
    return model


def _kernels(
    model: NetworkFamily, network: ImageNetwork, targets: Layers, mode: str
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the new weights by the path of our layer, then by name."""
    source = _with_stem_for(model, network)
    wanted = model.inflatable_layers(source)
    missing = [path for path in wanted if path not in source]
    if missing:
        raise InvalidArgumentError(
            "`source` must have a counterpart of each convolution and batch normalization of the "
            "model, which factorized (2+1)D convolutions have not. Received: "
            f"{network.name!r} without {list_some(missing)}",
            argument="source",
        )
    kernels = {}
    own_tap = None if mode == "mean" else _own_tap(model)
    for path in wanted:
        values = model.adapt_image_weights(path, source[path])
        kernels[path] = {
            name: _spread(value, targets[path][name].shape, own_tap)
            for name, value in values.items()
        }
        for name, value in kernels[path].items():
            shape = tuple(targets[path][name].shape)
            if value.shape != shape:
                raise InvalidArgumentError(
                    f"`source` must have the filters, groups and stem of {model.name!r}, whose "
                    f"{path}/{name} has the shape {shape}. Received: {value.shape} from "
                    f"{network.name!r}",
                    argument="source",
                )
    return kernels


def _with_stem_for(model: NetworkFamily, network: ImageNetwork) -> Layers:
    """Returns the 2D weights, with a stem that reads clips as the model normalizes them."""
    kernel = network.layers["stem/conv"]["kernel"]
    if kernel.shape[2] != 3:  # refused later, for its shape
        return network.layers
    scale = np.divide(model.clip_spec.std, network.source.std)[:, None]
    return {**network.layers, "stem/conv": {"kernel": kernel * scale}}


def _own_tap(model: NetworkFamily) -> Callable[[int], int]:
    """Returns the function from a kernel's depth to the tap at the output's own frame."""
    if model.config["causal"]:
        return lambda depth: depth - 1
    return lambda depth: (depth - 1) // 2  # ClipConv3D pads this many frames before the clip


def _spread(
    value: np.ndarray, shape: tuple[int, ...], own_tap: Callable[[int], int] | None
) -> np.ndarray:
    """Adds time to a kernel (height, width, in, out); returns other weights unchanged.

    Without a tap of its own for the kernel, all taps share it.
    """
    if value.ndim != 4 or len(shape) != 5:
        return value
    depth = shape[0]
    if own_tap is None:
        return np.stack([value / depth] * depth)
    taps = np.zeros((depth, *value.shape), value.dtype)
    taps[own_tap(depth)] = value
    return taps


def _notes(model: NetworkFamily, network: ImageNetwork, inflated: Layers) -> Iterable[str]:
    if network.source.strides_first:
        strided = [stage for stage in model.stages if stage not in ("stem", "stage1")]
        yield (
            f"the first block of {', '.join(strided)} strides its 3x3x3 convolution, the 2D "
            "network's the 1x1 convolution before it: features are equal up to stage1, and those "
            "of each later block for equal inputs. torchvision's weights are equal throughout."
        )
    yield from model.inflation_notes(inflated)


def _part(layer: str) -> str:
    """Returns a layer's row in the table: one per stage or block."""
    return re.sub(r"_block\d+$", "", layer.partition("/")[0])
