"""ResNet3D: 3D ResNet and ResNeXt, and their STC forms."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, three_sizes
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.residual_block import KAIMING, SHORTCUTS, BasicBlock3D, BottleneckBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.models.family import NetworkFamily
from keras_t3d.models.options import (
    ClassifierArguments,
    ClassifierOptions,
    check_stc,
    checked_depths,
    checked_odd,
)
from keras_t3d.models.registry import register
from keras_t3d.models.weight_names import (
    CheckpointLayout,
    ImageSource,
    LayerNames,
    Layers,
    count_parts,
)

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

BLOCKS = ("basic", "bottleneck")
STC = (None, "residual", "output", "between_stages")


def block_path(stage: str, index: str) -> str:
    """Returns the path of a block that PyTorch counts from 0."""
    return f"stage{stage}_block{int(index) + 1}"


# Hara et al.'s ResNets and ResNeXts, and torchvision's 2D ones.
TORCH_LAYERS: LayerNames = (
    (r"(conv|bn)1", r"stem/\1"),
    (r"layer(\d+)\.(\d+)\.(conv|bn)([123])", lambda s, b, kind, i: f"{block_path(s, b)}/{kind}{i}"),
    (r"layer(\d+)\.(\d+)\.downsample\.0", lambda s, b: f"{block_path(s, b)}/shortcut_conv"),
    (r"layer(\d+)\.(\d+)\.downsample\.1", lambda s, b: f"{block_path(s, b)}/shortcut_bn"),
    ("fc", "logits"),
)
KERAS_LAYERS: LayerNames = (
    (r"conv1_(conv|bn)", r"stem/\1"),
    (
        r"conv(\d+)_block(\d+)_0_(conv|bn)",
        lambda k, n, kind: f"stage{int(k) - 1}_block{n}/shortcut_{kind}",
    ),
    (
        r"conv(\d+)_block(\d+)_([123])_(conv|bn)",
        lambda k, n, i, kind: f"stage{int(k) - 1}_block{n}/{kind}{i}",
    ),
)


def _hara_options(paths: Collection[str]) -> dict[str, Any]:
    has_projections = any(path.endswith("/shortcut_conv") for path in paths)
    return {} if has_projections else {"shortcut": "zero_padding"}


HARA = CheckpointLayout(TORCH_LAYERS, frame_stride=1, options=_hara_options)
# keras.applications.ResNet reads B, G, R in 0..255, subtracts means and does not divide.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # as (R, G, B)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)


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
        stage_convolutions: convolutions of the basic blocks of each stage: `"3d"`, `"2d"` (1x3x3,
            without stride in time) or `"2plus1d"`; None is `"3d"` everywhere.
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
        ImageSource(KERAS_LAYERS, CAFFE_MEAN, CAFFE_STD, reads_bgr=True, strides_first=True),
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
        check_stc(stc, stc_options, STC)
        stem_kernel = checked_odd("stem_kernel", stem_kernel)
        stem_stride = three_sizes("stem", "stem_stride", stem_stride)
        if stem_pool_stride is not None:
            stem_pool_stride = three_sizes("stem", "stem_pool_stride", stem_pool_stride)
        convolutions = tuple(stage_convolutions or ("3d",) * len(stage_blocks))
        one_of("ResNet3D", "block", block, BLOCKS)
        one_of("ResNet3D", "shortcut", shortcut, SHORTCUTS)
        _check_stages(block, stage_blocks, stage_filters, convolutions, groups)
        self.block_options = {
            "shortcut": shortcut,
            "stc": None if stc == "between_stages" else stc,
            "stc_options": stc_options,
            "rematerialize": rematerialize,
            "dtype": shared.dtype,
        }
        if block == "bottleneck":
            self.block_options |= {"expansion": expansion, "groups": groups}

        inputs, x = shared.open_graph()
        x = Stem3D(
            stem_filters,
            stem_kernel,
            stem_stride,
            stem_pool_stride,
            stem_middle_filters,
            kernel_initializer=KAIMING,
            dtype=shared.dtype,
            name="stem",
        )(x)
        stages = {"stem": "stem"}
        plan = zip(stage_blocks, stage_filters, convolutions, strict=True)
        for index, (num_blocks, filters, convolution) in enumerate(plan, start=1):
            stage = f"stage{index}"
            x, stages[stage] = self._stage(x, index, num_blocks, filters, block, convolution)
            if stc == "between_stages" and index < len(stage_blocks):
                stages[stage] = f"{stage}_stc"
                x = SpatioTemporalChannelCorrelation(
                    **(stc_options or {}), dtype=shared.dtype, name=stages[stage]
                )(x)

        config = {
            "stage_blocks": list(stage_blocks),
            "block": block,
            "stage_filters": list(stage_filters),
            "expansion": expansion,
            "groups": groups,
            "stage_convolutions": list(convolutions),
            "shortcut": shortcut,
            "stem_filters": stem_filters,
            "stem_kernel": list(stem_kernel),
            "stem_stride": list(stem_stride),
            "stem_pool_stride": None if stem_pool_stride is None else list(stem_pool_stride),
            "stem_middle_filters": stem_middle_filters,
            "stc": stc,
            "stc_options": dict(stc_options or {}),
            "rematerialize": rematerialize,
        }
        super().__init__(shared, inputs, x, stages, config)

    def _stage(
        self, x: Any, index: int, num_blocks: int, filters: int, block: str, convolution: str
    ) -> tuple[Any, str]:
        """Returns the output of a stage and the name of the layer that it comes from."""
        stride: int | tuple[int, int, int] = 1
        if index > 1:
            stride = (1, 2, 2) if convolution == "2d" else 2
        for number in range(1, num_blocks + 1):
            name = f"stage{index}_block{number}"
            options = {**self.block_options, "strides": stride if number == 1 else 1, "name": name}
            if block == "bottleneck":
                x = BottleneckBlock3D(filters, **options)(x)
            else:
                x = BasicBlock3D(filters, convolution=convolution, **options)(x)
        return x, name

    @classmethod
    def infer_options(cls, layers: Layers) -> dict[str, Any]:
        is_bottleneck = any(path.endswith("/conv3") for path in layers)
        options: dict[str, Any] = {
            "stage_blocks": count_parts(layers, r"stage(\d+)_block\d+/"),
            "block": "bottleneck" if is_bottleneck else "basic",
        }
        kernel = layers.get("stage1_block1/conv2", {}).get("kernel")
        if kernel is not None:
            options["groups"] = kernel.shape[-1] // kernel.shape[-2]
        num_stages = len(options["stage_blocks"])
        second = layers.get("stage2_block1/conv2", {}).get("kernel")
        if second is not None and tuple(second.shape[:-2]) == (1, 3, 3):
            options["stage_convolutions"] = ("3d", *["2d"] * (num_stages - 1))
        if any(path.endswith("/conv1/space_conv") for path in layers):
            options["stage_convolutions"] = ("2plus1d",) * num_stages
        return options

    def inflation_notes(self, inflated: Collection[str]) -> Iterator[str]:
        yield from super().inflation_notes(inflated)
        if self.config["shortcut"] == "zero_padding":
            yield "shortcuts are zero padded where the 2D network has projections."


def _check_stages(
    block: str,
    stage_blocks: Sequence[int],
    stage_filters: Sequence[int],
    convolutions: Sequence[str],
    groups: int,
) -> None:
    for name, values in (("stage_filters", stage_filters), ("stage_convolutions", convolutions)):
        if len(values) != len(stage_blocks):
            raise InvalidArgumentError(
                f"`{name}` must have one entry for each of the {len(stage_blocks)} stages. "
                f"Received: {values!r}",
                argument=name,
            )
    if block == "bottleneck" and set(convolutions) != {"3d"}:
        raise InvalidArgumentError(
            "`stage_convolutions` other than '3d' need block='basic'. "
            f"Received: {convolutions!r} with block='bottleneck'",
            argument="stage_convolutions",
        )
    if block == "basic" and groups != 1:
        raise InvalidArgumentError(
            f"`groups` need block='bottleneck'. Received: {groups} with block='basic'",
            argument="groups",
        )


# Hara et al.'s networks, and their STC forms.

_RESNEXT: dict[str, Any] = {
    "block": "bottleneck",
    "stage_filters": (128, 256, 512, 1024),
    "expansion": 2,
    "groups": 32,
}

ResNet3D18 = register(
    ResNet3D,
    "ResNet3D18",
    "resnet3d_18",
    "3D ResNet-18: 2 basic blocks per stage.",
    checkpoint=HARA,
    stage_blocks=(2, 2, 2, 2),
    block="basic",
)
ResNet3D34 = register(
    ResNet3D,
    "ResNet3D34",
    "resnet3d_34",
    "3D ResNet-34: 3, 4, 6 and 3 basic blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 6, 3),
    block="basic",
)
ResNet3D50 = register(
    ResNet3D,
    "ResNet3D50",
    "resnet3d_50",
    "3D ResNet-50: 3, 4, 6 and 3 bottleneck blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 6, 3),
    block="bottleneck",
)
ResNet3D101 = register(
    ResNet3D,
    "ResNet3D101",
    "resnet3d_101",
    "3D ResNet-101: 3, 4, 23 and 3 bottleneck blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 23, 3),
    block="bottleneck",
)
ResNet3D152 = register(
    ResNet3D,
    "ResNet3D152",
    "resnet3d_152",
    "3D ResNet-152: 3, 8, 36 and 3 bottleneck blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 8, 36, 3),
    block="bottleneck",
)
ResNeXt3D50 = register(
    ResNet3D,
    "ResNeXt3D50",
    "resnext3d_50",
    "3D ResNeXt-50, cardinality 32: 3, 4, 6 and 3 bottleneck blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 6, 3),
    **_RESNEXT,
)
ResNeXt3D101 = register(
    ResNet3D,
    "ResNeXt3D101",
    "resnext3d_101",
    "3D ResNeXt-101, cardinality 32: 3, 4, 23 and 3 bottleneck blocks.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 23, 3),
    **_RESNEXT,
)
STCResNet3D18 = register(
    ResNet3D,
    "STCResNet3D18",
    "stc_resnet3d_18",
    "3D ResNet-18 with an STC block in every residual block.",
    checkpoint=HARA,
    stage_blocks=(2, 2, 2, 2),
    block="basic",
    stc="residual",
)
STCResNet3D50 = register(
    ResNet3D,
    "STCResNet3D50",
    "stc_resnet3d_50",
    "3D ResNet-50 with an STC block in every residual block.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 6, 3),
    block="bottleneck",
    stc="residual",
)
STCResNet3D101 = register(
    ResNet3D,
    "STCResNet3D101",
    "stc_resnet3d_101",
    "3D ResNet-101 with an STC block in every residual block.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 23, 3),
    block="bottleneck",
    stc="residual",
)
STCResNeXt3D50 = register(
    ResNet3D,
    "STCResNeXt3D50",
    "stc_resnext3d_50",
    "3D ResNeXt-50 with an STC block in every residual block.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 6, 3),
    stc="residual",
    **_RESNEXT,
)
STCResNeXt3D101 = register(
    ResNet3D,
    "STCResNeXt3D101",
    "stc_resnext3d_101",
    "3D ResNeXt-101 with an STC block in every residual block.",
    checkpoint=HARA,
    stage_blocks=(3, 4, 23, 3),
    stc="residual",
    **_RESNEXT,
)
