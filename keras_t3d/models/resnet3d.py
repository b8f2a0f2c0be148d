"""ResNet3D: 3D ResNet and ResNeXt, and their STC forms."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, three_sizes
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.residual_block import KAIMING, BasicBlock3D, BottleneckBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.models.family import NetworkFamily
from keras_t3d.models.keras_applications import imagenet_of
from keras_t3d.models.option_checks import check_stc, checked_depths, checked_odd
from keras_t3d.models.options import ClassifierArguments, ClassifierOptions
from keras_t3d.models.registry import register
from keras_t3d.models.residual_names import (
    HARA,
    KERAS_IMAGES,
    TORCH_LAYERS,
)
from keras_t3d.models.weight_names import ImageSource, Layers, count_parts

__all__ = [
    "ResNeXt3D50",
    "ResNeXt3D101",
    "ResNet3D",
    "ResNet3D18",
    "ResNet3D34",
    "ResNet3D50",
    "ResNet3D101",
    "ResNet3D152",
    "STCResNeXt3D50",
    "STCResNeXt3D101",
    "STCResNet3D18",
    "STCResNet3D50",
    "STCResNet3D101",
]


@keras.saving.register_keras_serializable(package="keras_t3d")
class ResNet3D(NetworkFamily):
    """ResNet with 3D convolutions; with `groups`, ResNeXt.

    ```
    clips - normalization - stem - stage1 - ... - stage4
          - global average pool ("embedding") - dropout - dense ("logits")
    ```

    The first block of each stage but the first halves time, height and width. The stages, for
    `feature_model`, are `"stem"`, `"stage1"`, `"stage2"`, ...

    Args:
        input_shape: (frames, height, width, 3), or the same after a batch dimension of None.
        num_classes: number of classes; None with `include_top=False`.
        stage_blocks: number of residual blocks of each stage.
        block: `"basic"` (`BasicBlock3D`) or `"bottleneck"` (`BottleneckBlock3D`).
        stage_filters: filters of the blocks of each stage.
        expansion: bottleneck blocks output this many times their filters.
        groups: groups of the bottlenecks' 3x3x3 convolutions (cardinality).
        stage_convolutions: convolutions of the blocks of each stage: `"3d"`, `"2d"` (1x3x3,
            without stride in time), `"2plus1d"` or `"2plus1d_each"`, see `BasicBlock3D`; those of
            bottlenecks are `"3d"` or `"2plus1d_each"`. None is `"3d"` everywhere.
        shortcut: `"projection"` (shortcut B) or `"zero_padding"` (A).
        stem_filters: filters of the stem.
        stem_kernel: kernel of the stem's convolution (time, height, width), odd.
        stem_stride: stride of the stem's convolution (time, height, width).
        stem_pool_stride: stride of the stem's 3x3x3 max pool (time, height, width); None omits
            the pool.
        stem_middle_filters: factorizes the stem's convolution in space and time, with this many
            filters between; None does not.
        stc: position of the STC blocks: `"residual"` (in every residual block, before the
            addition), `"output"` (at the end of every block) or `"between_stages"`; None for none.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`, for example
            `{"temporal_bins": 4}`.
        rematerialize: whether to keep one tensor per block for the gradient, and recompute batch
            normalizations and 1x1x1 convolutions: about half the memory of a training step.
        **options: options that all families have.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Reference:
        Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
        ImageNet?", 2018, https://arxiv.org/abs/1711.09577; STC: Diba et al., 2018,
        https://arxiv.org/abs/1806.07754; "2d" and "2plus1d": Tran et al., 2018,
        https://arxiv.org/abs/1711.11248
    """

    image_sources = (
        ImageSource(TORCH_LAYERS),
        KERAS_IMAGES,
    )

    def __init__(
        self,
        input_shape: Sequence[int | None],
        num_classes: int | None = None,
        *,
        stage_blocks: Sequence[int] = (2, 2, 2, 2),
        block: str = "basic",
        stage_filters: Sequence[int] = (64, 128, 256, 512),
        expansion: int = 4,
        groups: int = 1,
        stage_convolutions: Sequence[str] | None = None,
        shortcut: str = "projection",
        stem_filters: int = 64,
        stem_kernel: int | Sequence[int] = (7, 7, 7),
        stem_stride: int | Sequence[int] = (1, 2, 2),
        stem_pool_stride: int | Sequence[int] | None = (2, 2, 2),
        stem_middle_filters: int | None = None,
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **options: Unpack[ClassifierArguments],
    ) -> None:
        shared = ClassifierOptions(input_shape, num_classes, **options)
        stage_blocks = checked_depths("stage_blocks", stage_blocks, "(3, 4, 6, 3)")
        check_stc(stc, stc_options, (None, "residual", "output", "between_stages"))
        stem_kernel = checked_odd("stem_kernel", stem_kernel)
        stem_stride = three_sizes("stem", "stem_stride", stem_stride)
        if stem_pool_stride is not None:
            stem_pool_stride = three_sizes("stem", "stem_pool_stride", stem_pool_stride)
        stage_convolutions = tuple(stage_convolutions or ("3d",) * len(stage_blocks))
        one_of("ResNet3D", "block", block, ("basic", "bottleneck"))
        _check_stages(block, groups, stage_blocks, stage_filters, stage_convolutions)
        every: dict[str, Any] = {"causal": shared.causal, "dtype": shared.dtype}
        block_options = {
            "shortcut": shortcut,
            "stc": None if stc == "between_stages" else stc,
            "stc_options": stc_options,
            "rematerialize": rematerialize,
            **every,
        }
        inputs, x = shared.open_graph()
        x = Stem3D(
            stem_filters,
            stem_kernel,
            stem_stride,
            stem_pool_stride,
            stem_middle_filters,
            kernel_initializer=KAIMING,
            **every,
            name="stem",
        )(x)
        stages = {"stem": "stem"}
        plan = zip(stage_blocks, stage_filters, stage_convolutions, strict=True)
        for index, (num_blocks, filters, convolution) in enumerate(plan, start=1):
            stage, stride = f"stage{index}", (1, 2, 2) if convolution == "2d" else (2, 2, 2)
            if block == "basic":
                make_block: Any = functools.partial(BasicBlock3D, convolution=convolution)
            else:
                make_block = functools.partial(
                    BottleneckBlock3D, expansion=expansion, groups=groups, convolution=convolution
                )
            for number in range(1, num_blocks + 1):
                strides = stride if number == 1 and index > 1 else (1, 1, 1)
                stages[stage] = f"{stage}_block{number}"
                x = make_block(filters, strides, **block_options, name=stages[stage])(x)
            if stc == "between_stages" and index < len(stage_blocks):
                stages[stage] = f"{stage}_stc"
                x = SpatioTemporalChannelCorrelation(
                    **(stc_options or {}), **every, name=stages[stage]
                )(x)
        super().__init__(shared, inputs, x, stages, locals())

    @classmethod
    def infer_options(cls, layers: Layers) -> dict[str, Any]:
        options: dict[str, Any] = {
            "stage_blocks": count_parts(layers, r"stage(\d+)_block\d+/"),
            "block": "bottleneck" if any(path.endswith("/conv3") for path in layers) else "basic",
        }
        first, second = (layers.get(f"stage{n}_block1/conv2", {}).get("kernel") for n in (1, 2))
        num_stages = len(options["stage_blocks"])
        if first is not None:
            options["groups"] = first.shape[-1] // first.shape[-2]
        if second is not None and tuple(second.shape[:-2]) == (1, 3, 3):
            options["stage_convolutions"] = ("3d", *["2d"] * (num_stages - 1))
        space = layers.get("stage2_block1/conv2/space_conv", {}).get("kernel")
        if space is not None:
            channels, middle = space.shape[-2:]
            # Each convolution has as many parameters as a 3x3x3 one, or both what the first needs.
            kind = "2plus1d_each" if middle == channels * 9 // 4 else "2plus1d"
            options["stage_convolutions"] = (kind,) * num_stages
        return options

    def inflation_notes(self, inflated: Collection[str]) -> Iterator[str]:
        yield from super().inflation_notes(inflated)
        if self.config["shortcut"] == "zero_padding":
            yield "shortcuts are zero padded where the 2D network has projections."


def _check_stages(
    block: str, groups: int, blocks: Sequence[int], filters: Sequence[int], kinds: Sequence[str]
) -> None:
    for name, values in (("stage_filters", filters), ("stage_convolutions", kinds)):
        if len(values) != len(blocks):
            raise InvalidArgumentError(
                f"`{name}` must have one entry for each of the {len(blocks)} stages. "
                f"Received: {values!r}",
                argument=name,
            )
    if block == "bottleneck" and not set(kinds) <= {"3d", "2plus1d_each"}:
        raise InvalidArgumentError(
            "`stage_convolutions` other than '3d' and '2plus1d_each' need block='basic'. "
            f"Received: {kinds!r} with block='bottleneck'",
            argument="stage_convolutions",
        )
    if block == "basic" and groups != 1:
        raise InvalidArgumentError(
            f"`groups` need block='bottleneck'. Received: {groups} with block='basic'",
            argument="groups",
        )


# Hara et al.'s networks, and their STC forms.

_register = functools.partial(register, ResNet3D, checkpoint=HARA)
_register_stc = functools.partial(_register, stc="residual")
_IMAGENET50 = (imagenet_of("ResNet50", KERAS_IMAGES),)
_IMAGENET101 = (imagenet_of("ResNet101", KERAS_IMAGES),)
_IMAGENET152 = (imagenet_of("ResNet152", KERAS_IMAGES),)
_DEPTH18: dict[str, Any] = {"stage_blocks": (2, 2, 2, 2), "block": "basic"}
_DEPTH34: dict[str, Any] = {"stage_blocks": (3, 4, 6, 3), "block": "basic"}
_DEPTH50: dict[str, Any] = {"stage_blocks": (3, 4, 6, 3), "block": "bottleneck"}
_DEPTH101: dict[str, Any] = {"stage_blocks": (3, 4, 23, 3), "block": "bottleneck"}
_DEPTH152: dict[str, Any] = {"stage_blocks": (3, 8, 36, 3), "block": "bottleneck"}
_RESNEXT: dict[str, Any] = {"stage_filters": (128, 256, 512, 1024), "expansion": 2, "groups": 32}

ResNet3D18 = _register(
    "ResNet3D18", "resnet3d_18", "3D ResNet-18: 2 basic blocks per stage.", **_DEPTH18
)
ResNet3D34 = _register(
    "ResNet3D34", "resnet3d_34", "3D ResNet-34: 3, 4, 6 and 3 basic blocks.", **_DEPTH34
)
ResNet3D50 = _register(
    "ResNet3D50",
    "resnet3d_50",
    "3D ResNet-50: 3, 4, 6 and 3 bottleneck blocks.",
    published=_IMAGENET50,
    **_DEPTH50,
)
ResNet3D101 = _register(
    "ResNet3D101",
    "resnet3d_101",
    "3D ResNet-101: 3, 4, 23, 3 bottleneck blocks.",
    published=_IMAGENET101,
    **_DEPTH101,
)
ResNet3D152 = _register(
    "ResNet3D152",
    "resnet3d_152",
    "3D ResNet-152: 3, 8, 36, 3 bottleneck blocks.",
    published=_IMAGENET152,
    **_DEPTH152,
)
ResNeXt3D50 = _register(
    "ResNeXt3D50", "resnext3d_50", "3D ResNeXt-50, cardinality 32.", **_DEPTH50, **_RESNEXT
)
ResNeXt3D101 = _register(
    "ResNeXt3D101", "resnext3d_101", "3D ResNeXt-101, cardinality 32.", **_DEPTH101, **_RESNEXT
)
STCResNet3D18 = _register_stc(
    "STCResNet3D18", "stc_resnet3d_18", "3D ResNet-18, an STC block in each block.", **_DEPTH18
)
STCResNet3D50 = _register_stc(
    "STCResNet3D50",
    "stc_resnet3d_50",
    "3D ResNet-50, an STC block in each block.",
    published=_IMAGENET50,
    **_DEPTH50,
)
STCResNet3D101 = _register_stc(
    "STCResNet3D101",
    "stc_resnet3d_101",
    "3D ResNet-101, an STC block in each block.",
    published=_IMAGENET101,
    **_DEPTH101,
)
STCResNeXt3D50 = _register_stc(
    "STCResNeXt3D50", "stc_resnext3d_50", "ResNeXt3D50 with STC blocks.", **_DEPTH50, **_RESNEXT
)
STCResNeXt3D101 = _register_stc(
    "STCResNeXt3D101", "stc_resnext3d_101", "ResNeXt3D101 with STC blocks.", **_DEPTH101, **_RESNEXT
)
