"""Networks with the weights of published PyTorch checkpoints."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.checkpoint_parts import network_part
from keras_t3d.models.checkpoint_weights import match_weights
from keras_t3d.models.option_checks import checked_input_shape
from keras_t3d.models.registry import configurations, create, find_configuration
from keras_t3d.models.weight_names import NORMALIZATIONS, CheckpointLayout, place_layers
from keras_t3d.transfer.imported_weights import ImportedWeights
from keras_t3d.transfer.recognition import recognize_network
from keras_t3d.weights.checkpoint_file import read_checkpoint
from keras_t3d.weights.kinetics400 import kinetics400_classes
from keras_t3d.weights.tensors import group_tensors, tensor_name

HEAD = "logits"  # path of the classifying layer


def import_weights(
    checkpoint: str | os.PathLike[str],
    name: str,
    *,
    num_classes: int | None = None,
    normalization: str | None = None,
    input_shape: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    clip_spec: ClipSpec | None = None,
    part: str | None = None,
    **model_options: Any,
) -> ImportedWeights:
    """Builds a network with the weights of a PyTorch checkpoint.

    Reads the checkpoints of Hara et al.'s ResNets, ResNeXts, DenseNets and R(2+1)D networks, of
    2018 and of 2020, and those of torchvision's r3d_18, mc3_18 and r2plus1d_18. Prefixes of the
    tensors, such as `module.` or `model.`, do not matter. Every tensor of the network is used and
    every weight is filled, except the classifying layer's if the classes differ.

    Shapes show the size of the stem, the width and the kind of shortcut. No checkpoint contains
    strides: those of the published ones are assumed, and listed, unless `stem_stride` and
    `stem_pool_stride` are given.

    Args:
        checkpoint: path of a `.pth`, `.pt`, `.tar`, `.bin` or `.safetensors` file. Code in it does
            not run.
        name: name of the network, such as `"resnet3d_18"` or `"r3d_18"`.
        num_classes: number of classes; None keeps the checkpoint's, another number than the
            checkpoint's makes the classifying layer fresh.
        normalization: normalization that the checkpoint was trained with: `"kinetics"`,
            `"activitynet"` or `"torchvision"`. Hara et al.'s files do not contain it, so it is
            required for them; None is `"torchvision"` for torchvision's networks.
        input_shape: (frames, height, width, 3); None is `(16, 112, 112, 3)`.
        class_names: one name per class; None takes those of Kinetics-400 if 400 classes are kept,
            else `"class_0"`, `"class_1"`, ...
        clip_spec: replaces `normalization` and `input_shape`. None is 112 x 112 pixels of frames
            with a short side of 128; every frame for Hara et al.'s networks, every second frame
            for torchvision's.
        part: which network, if the checkpoint has several: the beginning of its tensors' names,
            such as `"model_ema"` or `"teacher"`. None takes the only one whose weights are no
            average.
        **model_options: further options of the network, such as `dropout`, `include_top=False` or
            `stem_stride=(2, 2, 2)`.

    Returns:
        The network, as the attribute `model`, and a description of what was loaded.

    Raises:
        InvalidArgumentError: if the file does not fit the network, or an argument is wrong.
        CheckpointError: if the file cannot be read.
        MissingPackageError: if safetensors is needed and not installed.

    Example:

    ```python
    imported = keras_t3d.transfer.import_weights(
        "resnet-18-kinetics.pth", "resnet3d_18", num_classes=101, normalization="activitynet"
    )
    print(imported)
    imported.model.save("start.keras")
    ```

    Reference:
        Hara et al., 2018, https://arxiv.org/abs/1711.09577; Kataoka et al., 2020,
        https://arxiv.org/abs/2004.04968; Tran et al., 2018, https://arxiv.org/abs/1711.11248
    """
    known = {key: c for key, c in configurations().items() if c.checkpoint is not None}
    configuration = find_configuration(name, known)
    layout = configuration.checkpoint
    assert layout is not None
    clip_spec = _clip_spec(layout, normalization, input_shape, clip_spec)
    network = network_part(read_checkpoint(checkpoint), part)
    layers = group_tensors(network.tensors)
    names, unplaced = place_layers(layers, layout.layer_names)
    found = layout.options({path: layers[layer] for path, layer in names.items()})
    defaults = configuration.options
    options = {key: value for key, value in found.items() if defaults[key] != value}
    assumed = {
        key: {**defaults, **options}[key] for key in layout.not_in_file if key not in model_options
    }

    head = layers[names[HEAD]] if HEAD in names else {}
    checkpoint_classes = head["kernel"].shape[-1] if "kernel" in head else None
    with_top = model_options.get("include_top", True)
    if with_top and num_classes is None:
        num_classes = checkpoint_classes
        if num_classes is None:
            raise InvalidArgumentError(
                "`num_classes` must be the number of classes, for example num_classes=101, as the "
                "checkpoint has no classifying layer; or leave the layer out with "
                f"include_top=False. Received: None for {os.fspath(checkpoint)!r} with tensors "
                f"{network}",
                argument="num_classes",
            )
    keeps_head = with_top and num_classes == checkpoint_classes
    if class_names is None and keeps_head and num_classes == 400:
        class_names = kinetics400_classes()

    model = create(
        name,
        clip_spec.input_shape,
        num_classes,
        class_names=class_names,
        clip_spec=clip_spec,
        **{**options, **model_options},
    )
    dropped = () if keeps_head else (HEAD,)
    matched = match_weights(model, layers, names, unplaced, dropped)
    problems = matched.problems()
    if problems:
        likely = recognize_network(layers)
        hint = f" Its tensors look like those of {likely!r}." if likely not in (None, name) else ""
        raise InvalidArgumentError(
            f"`checkpoint` must fit {name}: {'; '.join(problems)}.{hint} "
            f"Received: {os.fspath(checkpoint)!r}",
            argument="checkpoint",
        )
    matched.assign()
    left_out = (
        tuple(tensor_name(names[HEAD], weight, False) for weight in head)
        if dropped and head
        else ()
    )
    return ImportedWeights(
        model,
        os.fspath(checkpoint),
        name,
        options,
        assumed,
        network,
        matched.names,
        left_out,
        checkpoint_classes,
    )


def _clip_spec(
    layout: CheckpointLayout,
    normalization: str | None,
    input_shape: Sequence[int] | None,
    clip_spec: ClipSpec | None,
) -> ClipSpec:
    """Returns the clips that the checkpoint was trained on, in the size that is wanted."""
    if clip_spec is not None:
        if normalization is not None or input_shape is not None:
            raise InvalidArgumentError(
                "`clip_spec` includes normalization and shape: leave out `normalization` and "
                "`input_shape`, or `clip_spec`. Received: "
                f"normalization={normalization!r}, input_shape={input_shape!r}, {clip_spec}",
                argument="clip_spec",
            )
        return clip_spec
    if normalization is None:
        normalization = layout.normalization
    if normalization not in NORMALIZATIONS:
        raise InvalidArgumentError(
            "`normalization` must be that of the checkpoint's training, as the file does not "
            'contain it and a wrong one silently lowers accuracy: "activitynet" for the files of '
            "2017 and 2018, such as resnet-18-kinetics.pth, whose tensors mostly begin with "
            "'module.' (pixels minus 114.8, 107.7, 99.5, not divided); \"kinetics\" for those of "
            "2020, such as r3d18_K_200ep.pth (mean 0.4345, 0.4051, 0.3775, standard deviation "
            '0.2768, 0.2713, 0.2737, in 0..1 units); "torchvision" for torchvision\'s. '
            f"Received: {normalization!r}",
            argument="normalization",
        )
    mean, std = NORMALIZATIONS[normalization]
    default = ClipSpec.for_input_shape(checked_input_shape(input_shape or (16, 112, 112, 3)))
    return dataclasses.replace(default, frame_stride=layout.frame_stride, mean=mean, std=std)
