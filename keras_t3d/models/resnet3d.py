"""ResNet3D: 3D ResNet and ResNeXt, their STC forms, and the 18-layer networks of torchvision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_t3d.clips import ClipSpec
from keras_t3d.layers.arguments import three_sizes
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.residual_block import KAIMING, SHORTCUTS, BasicBlock3D, BottleneckBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.models.parts import (
    checked_depths,
    checked_head,
    checked_input_shape,
    checked_odd,
    checked_stc,
    clip_input,
    head,
)
from keras_t3d.models.video_classifier import VideoClassifier, checked_spec

BLOCKS = ("basic", "bottleneck")
STC = (None, "residual", "output", "between_stages")


@keras.saving.register_keras_serializable(package="keras_t3d")
class ResNet3D(VideoClassifier):
    """ResNet with 3D convolutions; with `groups`, ResNeXt.

    ```
    clips - normalisation - stem - stage1 - ... - stage4
          - global average pool ("embedding") - dropout - dense ("logits")
    ```

    The first block of each stage but the first halves time, height and width. The stages,
    for `feature_model`, are `"stem"`, `"stage1"`, `"stage2"`, ...

    Args:
        input_shape: four ints (frames, height, width, 3).
        num_classes: int. Number of classes; None with `include_top=False`.
        stage_blocks: ints. Residual blocks of each stage.
        block: `"basic"` (`BasicBlock3D`) or `"bottleneck"` (`BottleneckBlock3D`).
        stage_filters: ints. Filters of the blocks of each stage. Defaults to
            `(64, 128, 256, 512)`.
        expansion: int. Bottleneck blocks put out this many times their filters. Defaults to
            `4`.
        groups: int. Groups of the bottlenecks' 3x3x3 convolutions (cardinality). Defaults to
            `1`.
        stage_convolutions: strings, one a stage, or None. `"3d"`, `"2d"` (1x3x3, time is not
            strided) or `"2plus1d"`, for basic blocks. None is `"3d"` everywhere. Defaults to
            `None`.
        shortcut: `"projection"` (shortcut B) or `"zero_padding"` (A). Defaults to
            `"projection"`.
        stem_filters: int. Defaults to `64`.
        stem_kernel: three ints (time, height, width), odd. Defaults to `(7, 7, 7)`.
        stem_stride: three ints. Stride of the stem's convolution. Defaults to `(1, 2, 2)`.
        stem_pool_stride: three ints or None. Stride of the stem's 3x3x3 max pool; None
            leaves it out. Defaults to `(2, 2, 2)`.
        stem_middle_filters: int or None. Factorises the stem's convolution, with this many
            filters between. Defaults to `None`.
        stc: where the STC blocks are: None, `"residual"` (in every residual block, before the
            addition), `"output"` (at the end of every block) or `"between_stages"`.
            Defaults to `None`.
        stc_options: dict. Arguments of `SpatioTemporalChannelCorrelation`, for example
            `{"temporal_bins": 4}`. Defaults to `None`.
        dropout: float in [0, 1). Rate before the classifying layer. Defaults to `0.0`.
        include_top: bool. Whether the network ends in logits, or in features. Defaults to
            `True`.
        pooling: `"avg"` or `"max"`, over time and space, to the embedding; without top also
            None, which leaves the feature map. Defaults to `"avg"`.
        rematerialize: bool. Keep one tensor a block for the gradient, and compute batch
            normalisations and 1x1x1 convolutions a second time: about half the memory of a
            training step. Defaults to `False`.
        clip_spec: ClipSpec. Defaults to that of `input_shape`.
        class_names: strings. Defaults to `"class_0"`, `"class_1"`, ...
        name: str. Name of the model.
        dtype: dtype policy, such as `"mixed_bfloat16"`. Logits are float32 under
            every policy that computes in less. Defaults to Keras's global policy.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
        ImageNet?", 2018, https://arxiv.org/abs/1711.09577; STC: Diba et al., 2018,
        https://arxiv.org/abs/1806.07754; "2d" and "2plus1d": Tran et al., 2018,
        https://arxiv.org/abs/1711.11248
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int | None = None,
        stage_blocks: Sequence[int],
        block: str,
        stage_filters: Sequence[int] = (64, 128, 256, 512),
        expansion: int = 4,
        groups: int = 1,
        stage_convolutions: Sequence[str] | None = None,
        shortcut: str = "projection",
        stem_filters: int = 64,
        stem_kernel: Sequence[int] = (7, 7, 7),
        stem_stride: Sequence[int] = (1, 2, 2),
        stem_pool_stride: Sequence[int] | None = (2, 2, 2),
        stem_middle_filters: int | None = None,
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        include_top: bool = True,
        pooling: str | None = "avg",
        rematerialize: bool = False,
        clip_spec: ClipSpec | None = None,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        input_shape = checked_input_shape(input_shape)
        spec = checked_spec(clip_spec, input_shape)
        num_classes = checked_head(include_top, num_classes, class_names, pooling, dropout)
        stage_blocks = checked_depths("stage_blocks", stage_blocks, "(3, 4, 6, 3)")
        checked_stc(stc, stc_options, STC)
        stem_kernel = checked_odd("stem_kernel", stem_kernel)
        stem_stride = three_sizes("stem", "stem_stride", stem_stride)
        if stem_pool_stride is not None:
            stem_pool_stride = three_sizes("stem", "stem_pool_stride", stem_pool_stride)
        convolutions = tuple(stage_convolutions or ("3d",) * len(stage_blocks))
        _check_arguments(block, stage_blocks, stage_filters, convolutions, shortcut, groups)
        self.block_options = {
            "shortcut": shortcut,
            "stc": None if stc == "between_stages" else stc,
            "stc_options": stc_options,
            "rematerialize": rematerialize,
            "dtype": dtype,
        }
        if block == "bottleneck":
            self.block_options |= {"expansion": expansion, "groups": groups}

        inputs, x = clip_input(spec, dtype)
        x = Stem3D(
            stem_filters,
            stem_kernel,
            stem_stride,
            stem_pool_stride,
            stem_middle_filters,
            kernel_initializer=KAIMING,
            dtype=dtype,
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
                    **(stc_options or {}), dtype=dtype, name=stages[stage]
                )(x)
        outputs = head(x, include_top, num_classes, pooling, dropout, dtype)

        names = class_names if include_top else ()
        super().__init__(inputs, outputs, spec, class_names=names, stages=stages, name=name)
        self.config = {
            "input_shape": list(input_shape),
            "num_classes": num_classes,
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
            "dropout": dropout,
            "include_top": include_top,
            "pooling": pooling,
            "rematerialize": rematerialize,
            "dtype": keras.dtype_policies.serialize(dtype),
        }

    def _stage(
        self, x: Any, index: int, num_blocks: int, filters: int, block: str, convolution: str
    ) -> tuple[Any, str]:
        """Returns the stage's output and the name of the layer that makes it."""
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

    def get_config(self) -> dict[str, Any]:
        return {
            **self.config,
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names) or None,
            "name": self.name,
        }


def _check_arguments(
    block: str,
    stage_blocks: Sequence[int],
    stage_filters: Sequence[int],
    convolutions: Sequence[str],
    shortcut: str,
    groups: int,
) -> None:
    for name, value, allowed in (("block", block, BLOCKS), ("shortcut", shortcut, SHORTCUTS)):
        if value not in allowed:
            raise ValueError(f"`{name}` must be one of {allowed}. Received: {value!r}")
    for name, values in (("stage_filters", stage_filters), ("stage_convolutions", convolutions)):
        if len(values) != len(stage_blocks):
            raise ValueError(
                f"`{name}` must have one entry for each of the {len(stage_blocks)} stages. "
                f"Received: {values!r}"
            )
    if block == "bottleneck" and set(convolutions) != {"3d"}:
        raise ValueError(
            "`stage_convolutions` other than '3d' are for block='basic'. "
            f"Received: {convolutions!r} with block='bottleneck'"
        )
    if block == "basic" and groups != 1:
        raise ValueError(
            f"`groups` are for block='bottleneck'. Received: groups={groups} with block='basic'"
        )
