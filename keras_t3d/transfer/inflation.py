"""Inflation: a 3D network starts from the weights of a 2D one."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD
from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.models.densenet3d import T3D, DenseNet3D
from keras_t3d.models.resnet3d import ResNet3D
from keras_t3d.models.video_classifier import VideoClassifier

MODES = ("mean", "centre")

# keras.applications.ResNet reads B, G, R in 0..255, less these means, and divides by nothing.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # as (R, G, B)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)

_TORCH_EPSILON = 1e-5
_TORCH_STATISTICS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}

Layers = dict[str, dict[str, np.ndarray]]  # layer -> name of a weight -> its values


@dataclasses.dataclass(frozen=True)
class InflationReport:
    """What `inflate` did; printing it gives a table.

    Args:
        model: str. Name of the 3D network.
        source: str. Name of the 2D network.
        mode: `"mean"` or `"centre"`.
        inflated: strings. Layers of the 3D network that now hold weights of the 2D one, such
            as `"block1/layer1_conv1"`.
        fresh: strings. Layers that keep the weights they had.
        unused: strings. Layers of the 2D network without a counterpart, by its own names.
        notes: strings. Where the two networks differ all the same, one sentence each; empty
            if still clips give the 2D network's features, as the mode allows.

    Example:

    ```python
    print(keras_t3d.transfer.inflate(model, keras.applications.DenseNet121()))
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
            inflated, fresh = (_count(part, layers) for layers in (self.inflated, self.fresh))
            lines.append(f"{part:<16}{inflated:>10}{fresh:>8}")
        lines.append(f"{'total':<16}{len(self.inflated):>10}{len(self.fresh):>8}")
        if self.unused:
            lines.append(f"unused of the 2D network: {len(self.unused)}, {_some(self.unused)}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def inflate(
    model: VideoClassifier,
    source: keras.Model | Mapping[str, Any] | str | os.PathLike[str],
    mode: str = "mean",
) -> InflationReport:
    """Gives a 3D network, in place, the weights of the 2D network of the same depth.

    Kernels are spread over time, batch normalisations are copied, with the biases of the 2D
    convolutions before them. On a still clip (one frame, repeated) a network inflated by
    `"centre"` gives the features of the 2D network; by `"mean"` it does so except near the
    clip's first and last frames, where kernels reach into the padding.

    | network | source | equal up to |
    | --- | --- | --- |
    | `DenseNet3D` | `keras.applications.DenseNet121`, `169`, `201`; torchvision's | the end |
    | `T3D` | the same | `"block2"` |
    | `ResNet3D` | torchvision's ResNet and ResNeXt | the end |
    | `ResNet3D` | `keras.applications.ResNet50`, `101`, `152` | `"stage1"` |

    The last stride a 1x1 convolution where this network strides the 3x3x3 one after it. STC
    blocks stay fresh, and scale the features.

    The classifying layer stays fresh. Everything is checked before the first weight changes.

    Args:
        model: DenseNet3D, T3D or ResNet3D.
        source: Keras model from `keras.applications`; or torchvision's weights as a dict of
            arrays (`state_dict()`), or the path of such a checkpoint.
        mode: `"mean"`, every temporal tap gets the 2D kernel divided by their number; or
            `"centre"`, the tap at the output's own frame gets it and the others zeros.
            Defaults to `"mean"`.

    Returns:
        InflationReport: which layers were inflated, which are fresh, and where features differ.

    Raises:
        ValueError: if the networks are not of one kind and depth, a weight is missing or of
            another shape, or the model's ClipSpec normalises around other means than the 2D
            network was trained with (`source_normalization` gives the right ones).
        RuntimeError: if the package that reads the checkpoint is not installed.

    Example:

    ```python
    model = keras_t3d.models.DenseNet3D121(input_shape=(16, 112, 112, 3), num_classes=101)
    source = keras.applications.DenseNet121(weights="imagenet")
    print(keras_t3d.transfer.inflate(model, source, mode="centre"))
    ```

    Reference:
        Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics
        Dataset", 2017, https://arxiv.org/abs/1705.07750 ("mean"); Girdhar et al.,
        "Detect-and-Track", 2018, https://arxiv.org/abs/1712.09184 (both)
    """
    if mode not in MODES:
        raise ValueError(f"inflate: `mode` must be one of {MODES}. Received: {mode!r}")
    network = _read(source)
    _check_pair(model, network)
    targets = _layers_of(model)
    network = _with_stem_for(model, network)
    values = _counterparts(model, network, targets)
    kernels = {
        path: {name: _spread(value, targets[path][name].shape, mode) for name, value in new.items()}
        for path, new in values.items()
    }
    _check_shapes(model, network, kernels, targets)
    for path, new in kernels.items():
        for name, value in new.items():
            targets[path][name].assign(value)
    return InflationReport(
        model=model.name,
        source=network.name,
        mode=mode,
        inflated=tuple(path for path in targets if path in kernels),
        fresh=tuple(path for path in targets if path not in kernels),
        unused=(
            *(name for path, name in network.names.items() if path not in kernels),
            *network.head,
        ),
        notes=tuple(_notes(model, network, targets, kernels)),
    )


def source_normalization(
    source: keras.Model | Mapping[str, Any] | str | os.PathLike[str],
) -> dict[str, tuple[float, float, float]]:
    """Returns the mean and std that a network inflated from `source` has in its ClipSpec.

    They are ImageNet's, as by default, for all but the ResNets of `keras.applications`.

    Args:
        source: as for `inflate`.

    Returns:
        Dict of `mean` and `std`, each three floats (R, G, B) in 0..1 units: arguments of
        `ClipSpec`.

    Raises:
        ValueError: if the source is no network that `inflate` knows.

    Example:

    ```python
    source = keras.applications.ResNet50(weights="imagenet")
    spec = keras_t3d.ClipSpec(num_frames=16, **source_normalization(source))
    model = keras_t3d.models.ResNet3D50(
        input_shape=spec.input_shape, num_classes=101, clip_spec=spec
    )
    ```
    """
    network = _read(source)
    return {"mean": network.mean, "std": network.std}


# The 2D network, in our names.


@dataclasses.dataclass(frozen=True)
class _Network2D:
    """A 2D network by the names of our layers, for RGB input and our BN epsilon."""

    name: str
    layers: Layers
    names: dict[str, str]  # our layer -> its own
    head: tuple[str, ...]  # layers that are left out, by its own names
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    strides_first: bool = False  # a bottleneck's first 1x1 convolution has the stride


def _read(source: Any) -> _Network2D:
    if isinstance(source, keras.Model):
        return _read_keras(source)
    if isinstance(source, (str, os.PathLike)):
        from keras_t3d.transfer.checkpoint_file import read_checkpoint

        return _read_torchvision(read_checkpoint(source), os.path.basename(source))
    if isinstance(source, Mapping):
        return _read_torchvision(source, "torchvision weights")
    raise ValueError(
        "inflate: `source` must be a model, for example keras.applications.DenseNet121(), a dict "
        f"of torchvision's weights, or the path of such a file. Received: {source!r}"
    )


def _read_keras(network: keras.Model) -> _Network2D:
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    is_densenet = any(re.fullmatch(r"pool\d+_conv", name) for name in layers)
    head = tuple(name for name in layers if isinstance(layers[name], keras.layers.Dense))
    body = [name for name in layers if name not in head]
    names = _renamed(body, _KERAS_DENSENET if is_densenet else _KERAS_RESNET, network.name)
    values = {path: _keras_values(layers, name) for path, name in names.items()}
    if is_densenet:
        return _Network2D(network.name, values, names, head)
    values["stem/conv"]["kernel"] = values["stem/conv"]["kernel"][:, :, ::-1]  # BGR to RGB
    return _Network2D(network.name, values, names, head, CAFFE_MEAN, CAFFE_STD, True)


def _keras_values(layers: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    layer = layers[name]
    if not isinstance(layer, keras.layers.BatchNormalization):
        return {"kernel": keras.ops.convert_to_numpy(layer.kernel)}
    statistics = {
        key: keras.ops.convert_to_numpy(getattr(layer, key))
        for key in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    bias = getattr(layers.get(name.removesuffix("bn") + "conv"), "bias", None)
    if bias is not None:  # our convolutions have none: it goes into the mean
        statistics["moving_mean"] = statistics["moving_mean"] - keras.ops.convert_to_numpy(bias)
    return _for_our_epsilon(statistics, layer.epsilon)


def _read_torchvision(weights: Mapping[str, Any], name: str) -> _Network2D:
    layers: Layers = {}
    for key, value in weights.items():
        layer, _, weight = str(key).removeprefix("module.").rpartition(".")
        if weight != "num_batches_tracked":
            layers.setdefault(layer, {})[weight] = np.asarray(value)
    is_densenet = any(layer.startswith("features.") for layer in layers)
    head = tuple(layer for layer in layers if layer in ("fc", "classifier"))
    body = [layer for layer in layers if layer not in head]
    names = _renamed(body, _TORCH_DENSENET if is_densenet else _TORCH_RESNET, name)
    values = {path: _torch_values(layer, layers[layer]) for path, layer in names.items()}
    return _Network2D(name, values, names, head)


def _torch_values(name: str, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if set(weights) == set(_TORCH_STATISTICS):
        statistics = {ours: weights[theirs] for theirs, ours in _TORCH_STATISTICS.items()}
        return _for_our_epsilon(statistics, _TORCH_EPSILON)
    if set(weights) == {"weight"} and weights["weight"].ndim == 4:
        return {"kernel": weights["weight"].transpose(2, 3, 1, 0)}
    shapes = {key: value.shape for key, value in weights.items()}
    raise ValueError(
        f"inflate: {name!r} must be a 2D convolution, a `weight` (out, in, height, width) without "
        f"a bias, or a batch normalisation of {tuple(_TORCH_STATISTICS)}. Received: {shapes}"
    )


def _for_our_epsilon(statistics: dict[str, np.ndarray], epsilon: float) -> dict[str, np.ndarray]:
    variance = statistics["moving_variance"] + (epsilon - ClipBatchNormalization().epsilon)
    return {**statistics, "moving_variance": variance}


Names = tuple[tuple[str, Callable[..., str]], ...]  # pattern of their names, and ours from it

_KERAS_DENSENET: Names = (
    (r"conv1[_/](conv|bn)", "stem/{}".format),
    (r"conv(\d+)_block(\d+)_0_bn", lambda k, n: f"block{int(k) - 1}/layer{n}_bn1"),
    (r"conv(\d+)_block(\d+)_1_bn", lambda k, n: f"block{int(k) - 1}/layer{n}_bn2"),
    (r"conv(\d+)_block(\d+)_([12])_conv", lambda k, n, i: f"block{int(k) - 1}/layer{n}_conv{i}"),
    (r"pool(\d+)_(conv|bn)", lambda k, part: f"transition{int(k) - 1}/depth1_{part}"),
    (r"bn", lambda: "final_bn"),
)
_KERAS_RESNET: Names = (
    (r"conv1_(conv|bn)", "stem/{}".format),
    (
        r"conv(\d+)_block(\d+)_0_(conv|bn)",
        lambda k, n, part: f"stage{int(k) - 1}_block{n}/shortcut_{part}",
    ),
    (
        r"conv(\d+)_block(\d+)_([123])_(conv|bn)",
        lambda k, n, i, part: f"stage{int(k) - 1}_block{n}/{part}{i}",
    ),
)
_TORCH_DENSENET: Names = (
    (r"features\.conv0", lambda: "stem/conv"),
    (r"features\.norm0", lambda: "stem/bn"),
    # Files of old torchvision say norm.1 for norm1.
    (
        r"features\.denseblock(\d+)\.denselayer(\d+)\.(conv|norm)\.?([12])",
        lambda k, n, part, i: f"block{k}/layer{n}_{part.replace('norm', 'bn')}{i}",
    ),
    (r"features\.transition(\d+)\.conv", "transition{}/depth1_conv".format),
    (r"features\.transition(\d+)\.norm", "transition{}/depth1_bn".format),
    (r"features\.norm5", lambda: "final_bn"),
)
_TORCH_RESNET: Names = (
    (r"(conv|bn)1", "stem/{}".format),
    (
        r"layer(\d+)\.(\d+)\.(conv|bn)([123])",
        lambda k, n, part, i: f"stage{k}_block{int(n) + 1}/{part}{i}",
    ),
    (
        r"layer(\d+)\.(\d+)\.downsample\.0",
        lambda k, n: f"stage{k}_block{int(n) + 1}/shortcut_conv",
    ),
    (r"layer(\d+)\.(\d+)\.downsample\.1", lambda k, n: f"stage{k}_block{int(n) + 1}/shortcut_bn"),
)


def _renamed(layers: Iterable[str], names: Names, network: str) -> dict[str, str]:
    """Returns their names by ours."""
    ours = {}
    unknown = []
    for layer in layers:
        matches = ((re.fullmatch(pattern, layer), rename) for pattern, rename in names)
        path = next((rename(*match.groups()) for match, rename in matches if match), None)
        if path is None:
            unknown.append(layer)
        else:
            ours[path] = layer
    if unknown or "stem/conv" not in ours:
        raise ValueError(
            "inflate: `source` must be a 2D DenseNet, ResNet (not V2) or ResNeXt whose layers are "
            "named as in keras.applications ('conv2_block1_1_conv') or in torchvision "
            f"('layer1.0.conv1.weight'). Received: {network!r} with the layers "
            f"{_some(unknown or list(ours))}"
        )
    return ours


# What of it fits the 3D network.


def _check_pair(model: Any, network: _Network2D) -> None:
    if not isinstance(model, (DenseNet3D, ResNet3D)):
        raise ValueError(
            "inflate: `model` must be a DenseNet3D, T3D or ResNet3D, for example "
            f"keras_t3d.models.DenseNet3D121(...). Received: {model!r}"
        )
    mine, theirs = _architecture(_layers_of(model)), _architecture(network.layers)
    if mine != theirs:
        raise ValueError(
            "inflate: both networks must be of one kind and depth, for example "
            "keras.applications.DenseNet121 for keras_t3d.models.DenseNet3D121. Received: "
            f"{network.name!r}, a {theirs}, for {model.name!r}, a {mine}"
        )
    if not np.allclose(model.clip_spec.mean, network.mean, rtol=0, atol=1e-6):
        mean, std = (tuple(round(v, 7) for v in values) for values in (network.mean, network.std))
        raise ValueError(
            f"inflate: {network.name!r} was trained on pixels around other means than the model's "
            "ClipSpec has, which its zero padding does not allow to make up for: build the model "
            f"with clip_spec=ClipSpec(..., mean={mean}, std={std}), which "
            "keras_t3d.transfer.inflation.source_normalization(source) gives. "
            f"Received: mean={model.clip_spec.mean}"
        )


def _architecture(layers: Mapping[str, Any]) -> str:
    """Says kind and depth, as in "ResNet of (3, 4, 6, 3) bottleneck blocks"."""
    paths = list(layers)
    dense = {m[0]: m[1] for p in paths if (m := re.match(r"block(\d+)/layer\d+_", p))}
    residual = {m[0]: m[1] for p in paths if (m := re.match(r"stage(\d+)_block\d+/", p))}
    stages = list((dense or residual).values())
    depths = tuple(stages.count(stage) for stage in sorted(set(stages), key=int))
    if dense:
        return f"DenseNet of {depths} layers"
    bottleneck = any(re.search(r"/conv3$", path) for path in paths)
    return f"ResNet of {depths} {'bottleneck' if bottleneck else 'basic'} blocks"


def _layers_of(model: keras.Model) -> dict[str, dict[str, Any]]:
    """The model's weights by layer ("block1/layer1_conv1") and name ("kernel")."""
    layers: dict[str, dict[str, Any]] = {}
    for variable in model.weights:
        layer, _, name = variable.path.rpartition("/")
        layers.setdefault(layer, {})[name] = variable
    return layers


def _with_stem_for(model: Any, network: _Network2D) -> _Network2D:
    """The 2D network with its stem for the model's normalised input."""
    layers = dict(network.layers)
    kernel = layers["stem/conv"]["kernel"]
    if kernel.shape[2] == 3:  # else `_check_shapes` says so
        scale = np.divide(model.clip_spec.std, network.std)[:, None]
        layers["stem/conv"] = {"kernel": kernel * scale}
    return dataclasses.replace(network, layers=layers)


def _counterparts(model: Any, network: _Network2D, targets: Mapping[str, Any]) -> Layers:
    """The 2D weights of each of our layers that has some."""
    wanted = [path for path in targets if _is_convolutional(targets[path])]
    if isinstance(model, T3D):
        wanted = [path for path in wanted if path.startswith(_reach_in_t3d(model, network))]
    missing = [path for path in wanted if path not in network.layers]
    if missing:
        raise ValueError(
            "inflate: each convolution and batch normalisation of the model needs its 2D "
            "counterpart: factorised, (2+1)D ones have none, and weights must be complete. "
            f"Received: {network.name!r} without that of {_some(missing)}"
        )
    values = {path: network.layers[path] for path in wanted}
    if not isinstance(model, T3D):
        return values
    return {
        path: _widened(value, targets[path], model.transition_filters)
        if path.startswith("block2/")
        else value
        for path, value in values.items()
    }


def _is_convolutional(weights: Mapping[str, Any]) -> bool:
    return "gamma" in weights or ("kernel" in weights and len(weights["kernel"].shape) == 5)


def _reach_in_t3d(model: T3D, network: _Network2D) -> tuple[str, ...]:
    """Beginnings of the paths up to where the channels of the two networks part.

    That is the stem, the first dense block and, if it is as wide as the 2D transition, the
    first TTL's branch of depth 1. Where its channels come first in the second dense block,
    that block too: it reads those of the other branches with zeros (`_widened`).
    """
    # Later blocks stay fresh whole: a 3x3 kernel is of no use on channels that another
    # 1x1 convolution made, and its batch normalisation's statistics would be wrong.
    transition = network.layers.get("transition1/depth1_conv")
    if transition is None or transition["kernel"].shape[-1] != model.transition_filters:
        return ("stem", "block1/")
    depths = model.transition_depths[0]
    if depths[0] == 1 and model.variant == "paper":
        return ("stem", "block1/", "transition1/depth1_", "block2/")
    return ("stem", "block1/", "transition1/depth1_")


def _widened(
    weights: Mapping[str, np.ndarray], target: Mapping[str, Any], carried: int
) -> dict[str, np.ndarray]:
    """Puts new input channels behind those carried over, which a kernel reads with zeros."""
    wide = {}
    for name, value in weights.items():
        axis = -2 if name == "kernel" else -1
        shape = list(value.shape)
        shape[axis] = max(target[name].shape[axis] - shape[axis], 0)
        # A batch normalisation leaves new channels as they are.
        new = np.full(shape, 1.0 if name in ("gamma", "moving_variance") else 0.0)
        ahead, behind = np.split(value, [carried], axis)
        wide[name] = np.concatenate([ahead, new, behind], axis)
    return wide


def _spread(value: np.ndarray, shape: tuple[int, ...], mode: str) -> np.ndarray:
    """Adds time to a kernel (height, width, in, out); other weights stay what they are."""
    if value.ndim != 4 or len(shape) != 5:
        return value
    depth = shape[0]
    if mode == "mean":
        return np.stack([value / depth] * depth)
    taps = np.zeros((depth, *value.shape), value.dtype)
    taps[(depth - 1) // 2] = value  # ClipConv3D pads so many frames before
    return taps


def _check_shapes(
    model: VideoClassifier, network: _Network2D, values: Layers, targets: Mapping[str, Any]
) -> None:
    for path, new in values.items():
        for name, value in new.items():
            shape = tuple(targets[path][name].shape)
            if value.shape != shape:
                raise ValueError(
                    f"inflate: {name!r} of {path!r} in {model.name!r} needs values of shape "
                    f"{shape}: filters, groups and stem must be those of the 2D network. "
                    f"Received: {value.shape} from {network.name!r}"
                )


# What the report says.


def _notes(
    model: Any, network: _Network2D, targets: Mapping[str, Any], values: Layers
) -> Iterable[str]:
    if network.strides_first:
        strided = [stage for stage in model.stages if stage not in ("stem", "stage1")]
        yield (
            f"the first block of {', '.join(strided)} strides its 3x3x3 convolution, the 2D "
            "network's the 1x1 before it: features are equal up to stage1 and in each later "
            "block by itself but these. torchvision's weights are equal throughout."
        )
    space = [tuple(model.config[name] or ())[1:] for name in ("stem_stride", "stem_pool_stride")]
    if space != [(2, 2), (2, 2)]:
        yield "the stem strides otherwise than the 2D network's: features differ from there on."
    if any(name.startswith(("temporal_", "spatial_")) for w in targets.values() for name in w):
        yield "the STC blocks are fresh and scale the features."
    if isinstance(model, ResNet3D) and model.config["shortcut"] == "zero_padding":
        yield "shortcuts are zero padded where the 2D network has projections."
    if isinstance(model, T3D):
        last = max(path.split("/")[0] for path in values if path.startswith("block"))
        yield f"a T3D has other channels than the 2D network after {last}: fresh from there on."
        if last == "block2":
            yield (
                "block2 reads the channels of the first transition's deeper branches with "
                "zeros, until it is trained."
            )


def _part(layer: str) -> str:
    """A layer's line in the table: stages and blocks are one each."""
    return re.sub(r"_block\d+$", "", layer.partition("/")[0])


def _count(part: str, layers: Iterable[str]) -> int:
    return sum(_part(layer) == part for layer in layers)


def _some(names: Iterable[str]) -> str:
    first, *more = list(names)[:4], *list(names)[4:]
    return ", ".join(first) + (f" and {len(more)} more" if more else "")
