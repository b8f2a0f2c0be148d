"""Networks with the weights of published PyTorch checkpoints."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.models import VideoClassifier, create
from keras_t3d.models.parts import checked_input_shape
from keras_t3d.transfer.checkpoint_file import read_checkpoint
from keras_t3d.transfer.kinetics400 import kinetics400_classes
from keras_t3d.transfer.tensor_names import (
    LAYOUTS,
    head_tensors,
    named_weights,
    recognised_network,
    to_keras_axes,
    torch_shape,
    with_one_spelling,
)

# Mean and standard deviation of R, G and B, in 0..1 units.
NORMALIZATIONS = {
    "kinetics": ((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737)),
    # Pixels 0..255 less (114.7748, 107.7354, 99.4750), divided by nothing.
    "activitynet": ((114.7748 / 255, 107.7354 / 255, 99.4750 / 255), (1 / 255,) * 3),
    "torchvision": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
}
_KINETICS_400 = 400
_NAMED = 3  # tensors that an error names of each kind


@dataclasses.dataclass(frozen=True)
class ImportedWeights:
    """A network with a checkpoint's weights, and what was done with the checkpoint.

    `str(imported)` says it in a few lines.

    Args:
        model: VideoClassifier. The network.
        checkpoint: str. The file.
        network: str. The network's name in `models.list_models()`.
        options: dict. Options that the checkpoint asked for, such as
            `{"shortcut": "zero_padding"}`.
        used: strings. Tensors that were taken over.
        left_out: strings. Tensors of the checkpoint's classifying layer, if it was not.
        checkpoint_classes: int or None. Classes of the checkpoint; None if it has no
            classifying layer.
    """

    model: VideoClassifier
    checkpoint: str
    network: str
    options: dict[str, Any]
    used: tuple[str, ...]
    left_out: tuple[str, ...]
    checkpoint_classes: int | None

    def __str__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return (
            f"{self.network}{options}, with {len(self.used)} tensors of {self.checkpoint}\n"
            f"Classifying layer: {self._head()}\n"
            f"Clips: {self.model.clip_spec}"
        )

    def _head(self) -> str:
        classes = self.model.num_classes
        if not classes:
            return "left out, the network ends in features"
        names = (
            f"{classes} classes, {self.model.class_names[0]!r} to {self.model.class_names[-1]!r}"
        )
        if self.checkpoint_classes is None:
            return f"fresh, the checkpoint has none; {names}"
        if self.left_out:
            return f"fresh, in place of the checkpoint's {self.checkpoint_classes} classes; {names}"
        return f"the checkpoint's; {names}"


def import_weights(
    checkpoint: str | os.PathLike[str],
    name: str,
    *,
    num_classes: int | None = None,
    normalization: str | None = None,
    input_shape: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    clip_spec: ClipSpec | None = None,
    **model_options: Any,
) -> ImportedWeights:
    """Builds a network with the weights of a PyTorch checkpoint.

    Reads the checkpoints of Hara et al.'s ResNets, ResNeXts and DenseNets, of 2018 and of
    2020, and those of torchvision's r3d_18, mc3_18 and r2plus1d_18. Every tensor of the
    checkpoint is used and every weight of the network is filled, except the classifying
    layer's where the classes differ.

    Args:
        checkpoint: path of a `.pth`, `.pt`, `.tar` or `.safetensors` file. No code in it runs.
        name: str. The network, such as `"resnet3d_18"` or `"r3d_18"`.
        num_classes: int. Another number than the checkpoint's makes the classifying layer
            fresh. Defaults to the checkpoint's.
        normalization: what the checkpoint was trained on: `"kinetics"`, `"activitynet"` or
            `"torchvision"`. Hara et al.'s checkpoints need it: it cannot be read from them.
            Defaults to `"torchvision"` for torchvision's networks, else must be given.
        input_shape: four ints (frames, height, width, 3). Defaults to `(16, 112, 112, 3)`.
        class_names: strings. Defaults to Kinetics-400's if 400 classes are kept, else to
            `"class_0"`, `"class_1"`, ...
        clip_spec: ClipSpec, in place of `normalization` and `input_shape`. Defaults to
            16 frames, 112 x 112 of frames with a short side of 128 pixels; every frame for
            Hara et al.'s, every second for torchvision's.
        **model_options: further arguments of the network, such as `dropout` or
            `include_top=False`.

    Returns:
        ImportedWeights: the network is its `model`.

    Raises:
        ValueError: if the file cannot be read, does not fit the network, or the
            normalisation is not known.
        RuntimeError: if PyTorch or safetensors is missing.

    Example:

    ```python
    imported = keras_t3d.transfer.import_weights(
        "resnet-18-kinetics.pth", "resnet3d_18", num_classes=101, normalization="activitynet"
    )
    print(imported)
    imported.model.save("start.keras")
    ```

    Reference:
        Hara et al., 2018, https://arxiv.org/abs/1711.09577; Tran et al., 2018,
        https://arxiv.org/abs/1711.11248
    """
    layout = _layout(name)
    spec = _clip_spec(layout, normalization, input_shape, clip_spec)
    tensors = with_one_spelling(read_checkpoint(checkpoint))
    options = _options_of(layout, tensors)

    head = head_tensors(layout)
    head_shape = tensors[head[0]].shape if head[0] in tensors else ()
    checkpoint_classes = head_shape[0] if head_shape else None
    with_top = model_options.get("include_top", True)
    if with_top and num_classes is None:
        num_classes = _known_classes(checkpoint_classes, checkpoint)
    keeps_head = with_top and num_classes == checkpoint_classes
    if class_names is None and keeps_head and num_classes == _KINETICS_400:
        class_names = kinetics400_classes()

    model = create(
        name,
        input_shape=spec.input_shape,
        num_classes=num_classes,
        class_names=class_names,
        clip_spec=spec,
        **{**options, **model_options},
    )
    weights = named_weights(model, layout)
    nameless = _without_names(model, weights)
    left_out = () if keeps_head else tuple(tensor for tensor in head if tensor in tensors)
    if not keeps_head:
        weights = {tensor: weight for tensor, weight in weights.items() if tensor not in head}
    used = {tensor: values for tensor, values in tensors.items() if tensor not in left_out}

    problems = [*_differences(used, weights), *nameless]
    if problems:
        raise ValueError(
            f"The checkpoint does not fit {name}: {'; '.join(problems)}."
            f"{_hint(name, tensors)} Received: {os.fspath(checkpoint)!r}"
        )
    for tensor, weight in weights.items():
        weight.assign(to_keras_axes(used[tensor]))
    return ImportedWeights(
        model, os.fspath(checkpoint), name, options, tuple(used), left_out, checkpoint_classes
    )


# What the checkpoint says about the network.


def _layout(name: str) -> str:
    if name in LAYOUTS:
        return LAYOUTS[name]
    close = difflib.get_close_matches(name, LAYOUTS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"No network of that name has PyTorch checkpoints that can be imported.{hint} The names "
        f"are {list(LAYOUTS)}. Received: {name!r}"
    )


def _options_of(layout: str, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Options under which a network of ours is built as the checkpoint's was."""
    if layout == "hara_densenet":
        return {
            "stem_kernel": (7, 7, 7),
            "stem_stride": (1, 2, 2),
            "stem_pool_stride": (2, 2, 2),
        }
    if layout == "hara_resnet" and not any(".downsample." in name for name in tensors):
        return {"shortcut": "zero_padding"}
    return {}


def _known_classes(classes: int | None, checkpoint: str | os.PathLike[str]) -> int:
    if classes is None:
        raise ValueError(
            "The checkpoint has no classifying layer, so `num_classes` must say how many classes "
            "the network is to have, for example num_classes=101; or leave the layer out with "
            f"include_top=False. Received: {os.fspath(checkpoint)!r}"
        )
    return classes


def _clip_spec(
    layout: str,
    normalization: str | None,
    input_shape: Sequence[int] | None,
    clip_spec: ClipSpec | None,
) -> ClipSpec:
    """The clips that the checkpoint was trained on, in the size that is wanted."""
    if clip_spec is not None:
        if normalization is not None or input_shape is not None:
            raise ValueError(
                "`clip_spec` says how clips are normalised, and their shape: leave out "
                "`normalization` and `input_shape`, or `clip_spec`. Received: "
                f"normalization={normalization!r}, input_shape={input_shape!r}, {clip_spec}"
            )
        return clip_spec
    of_torchvision = layout.startswith("torchvision")
    if normalization is None and of_torchvision:
        normalization = "torchvision"
    if normalization not in NORMALIZATIONS:
        raise ValueError(_which_normalization(normalization))
    mean, std = NORMALIZATIONS[normalization]
    spec = ClipSpec.for_input_shape(checked_input_shape(input_shape or (16, 112, 112, 3)))
    # torchvision reads 15 frames a second of videos that mostly have 30; Hara et al. read all.
    stride = 2 if of_torchvision else 1
    return dataclasses.replace(spec, frame_stride=stride, mean=mean, std=std)


def _which_normalization(received: str | None) -> str:
    return (
        "`normalization` must say what the checkpoint's clips were normalised by, as the file does "
        'not and a wrong one only lowers accuracy: "activitynet" for the files of 2017 and 2018, '
        "such as resnet-18-kinetics.pth, whose tensors' names mostly begin with 'module.' (pixels "
        'less 114.8, 107.7, 99.5, not divided); "kinetics" for those of 2020, such as '
        "r3d18_K_200ep.pth (mean 0.4345, 0.4051, 0.3775, standard deviation 0.2768, 0.2713, "
        '0.2737, in 0..1 units); "torchvision" for torchvision\'s. '
        f"Received: {received!r}"
    )


# Whether every tensor has its weight, and every weight its tensor.


def _differences(tensors: Mapping[str, np.ndarray], weights: Mapping[str, Any]) -> list[str]:
    both = [name for name in weights if name in tensors]
    shapes = [
        f"{name} is {tensors[name].shape} in place of {torch_shape(weights[name])}"
        for name in both
        if tensors[name].shape != torch_shape(weights[name])
    ]
    infinite = [name for name in both if not np.isfinite(tensors[name]).all()]
    return [
        *_counted("tensors are missing", [name for name in weights if name not in tensors]),
        *_counted("tensors have no place in it", [name for name in tensors if name not in weights]),
        *_counted("tensors are of another shape", shapes),
        *_counted("tensors hold infinite values or NaN", infinite),
    ]


def _without_names(model: VideoClassifier, weights: Mapping[str, Any]) -> list[str]:
    named = {id(weight) for weight in weights.values()}
    paths = [weight.path for weight in model.weights if id(weight) not in named]
    return _counted("weights of the network are in no such checkpoint", paths)


def _counted(what: str, names: list[str]) -> list[str]:
    """The first of the names and how many there are, or nothing if there are none."""
    if not names:
        return []
    more = ", ..." if len(names) > _NAMED else ""
    return [f"{len(names)} {what} ({', '.join(names[:_NAMED])}{more})"]


def _hint(name: str, tensors: Mapping[str, np.ndarray]) -> str:
    found = recognised_network(tensors)
    return (
        f" Its tensors are named and shaped like those of {found!r}."
        if found not in (None, name)
        else ""
    )
