"""DenseNet3D: DenseNet with 3D convolutions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import three_sizes
from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.dense_block import DenseBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.layers.temporal_transition import TemporalTransition
from keras_t3d.models.family import NetworkFamily
from keras_t3d.models.keras_applications import imagenet_of
from keras_t3d.models.option_checks import check_stc, checked_depths, checked_odd
from keras_t3d.models.options import ClassifierArguments, ClassifierOptions
from keras_t3d.models.registry import register
from keras_t3d.models.weight_names import (
    CheckpointLayout,
    ImageSource,
    LayerNames,
    Layers,
    count_parts,
)

__all__ = ["DenseNet3D", "DenseNet3D121", "DenseNet3D169", "DenseNet3D201"]

# Hara et al.'s DenseNets and torchvision's 2D ones, in the spellings of all versions.
TORCH_LAYERS: LayerNames = (
    (r"features\.conv[01]", "stem/conv"),
    (r"features\.norm[01]", "stem/bn"),
    (
        r"features\.denseblock(\d+)\.denselayer(\d+)\.(conv|norm)\.?([12])",
        lambda block, layer, kind, index: (
            f"block{block}/layer{layer}_{kind.replace('norm', 'bn')}{index}"
        ),
    ),
    (r"features\.transition(\d+)\.conv", r"transition\1/depth1_conv"),
    (r"features\.transition(\d+)\.norm", r"transition\1/depth1_bn"),
    (r"features\.norm5", "final_bn"),
    ("classifier", "logits"),
)
KERAS_LAYERS: LayerNames = (
    (r"conv1[_/](conv|bn)", r"stem/\1"),
    (r"conv(\d+)_block(\d+)_0_bn", lambda k, n: f"block{int(k) - 1}/layer{n}_bn1"),
    (r"conv(\d+)_block(\d+)_1_bn", lambda k, n: f"block{int(k) - 1}/layer{n}_bn2"),
    (r"conv(\d+)_block(\d+)_([12])_conv", lambda k, n, i: f"block{int(k) - 1}/layer{n}_conv{i}"),
    (r"pool(\d+)_(conv|bn)", lambda k, part: f"transition{int(k) - 1}/depth1_{part}"),
    ("bn", "final_bn"),
)
KERAS_IMAGES = ImageSource(KERAS_LAYERS)


def _hara_options(layers: Layers) -> dict[str, Any]:
    stem = layers.get("stem/conv", {}).get("kernel")
    return {
        "stem_kernel": (7, 7, 7) if stem is None else tuple(stem.shape[:3]),
        "stem_stride": (1, 2, 2),
        "stem_pool_stride": (2, 2, 2),
    }


HARA = CheckpointLayout(
    TORCH_LAYERS,
    frame_stride=1,
    options=_hara_options,
    not_in_file=("stem_stride", "stem_pool_stride"),
)


@keras.saving.register_keras_serializable(package="keras_t3d")
class DenseNet3D(NetworkFamily):
    """DenseNet with 3D convolutions.

    ```
    clips - normalization - stem - [block - transition] x n - block - BN - ReLU
          - global average pool ("embedding") - dropout - dense ("logits")
    ```

    Its stages, for `feature_model`, are `"stem"`, `"block1"`, `"transition1"`, `"block2"`, ...

    Args:
        input_shape: (frames, height, width, 3), or the same after a batch dimension of None.
        num_classes: number of classes; None with `include_top=False`.
        block_layers: number of dense layers of each block.
        growth_rate: channels that a dense layer adds.
        bottleneck_factor: a dense layer's 1x1x1 convolution has this many times `growth_rate`
            filters.
        stem_filters: filters of the stem.
        stem_kernel: kernel of the stem's convolution (time, height, width), odd.
        stem_stride: stride of the stem's convolution (time, height, width).
        stem_pool_stride: stride of the stem's 3x3x3 max pool (time, height, width). The T3D
            paper's printed sizes need the default.
        stc: `"output"` for an STC block after each dense block, or None.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: whether to recompute the dense layers' 1x1x1 convolutions for the gradient
            instead of keeping their outputs: a quarter less memory per clip. Concatenations and
            batch normalizations are always recomputed.
        **options: options that all families have.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or a clip is too short or too
            small for the strides.

    Reference:
        Huang et al., "Densely Connected Convolutional Networks", 2017,
        https://arxiv.org/abs/1608.06993, in 3D as in Diba et al., 2017,
        https://arxiv.org/abs/1711.08200
    """

    image_sources = (KERAS_IMAGES, ImageSource(TORCH_LAYERS))

    def __init__(
        self,
        input_shape: Sequence[int | None],
        num_classes: int | None = None,
        *,
        block_layers: Sequence[int] = (6, 12, 24, 16),
        growth_rate: int = 32,
        bottleneck_factor: int = 4,
        stem_filters: int = 64,
        stem_kernel: int | Sequence[int] = (3, 7, 7),
        stem_stride: int | Sequence[int] = (2, 2, 2),
        stem_pool_stride: int | Sequence[int] = (1, 2, 2),
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **options: Unpack[ClassifierArguments],
    ) -> None:
        shared = ClassifierOptions(input_shape, num_classes, **options)
        every: dict[str, Any] = {"causal": shared.causal, "dtype": shared.dtype}
        block_layers = checked_depths("block_layers", block_layers, "(6, 12, 24, 16)")
        check_stc(stc, stc_options, (None, "output"))
        stem_kernel = checked_odd("stem_kernel", stem_kernel)
        stem_stride = three_sizes("stem", "stem_stride", stem_stride)
        stem_pool_stride = three_sizes("stem", "stem_pool_stride", stem_pool_stride)
        _check_strides(shared.input_shape, stem_stride, stem_pool_stride, len(block_layers) - 1)

        inputs, x = shared.open_graph()
        x = Stem3D(stem_filters, stem_kernel, stem_stride, stem_pool_stride, **every, name="stem")(
            x
        )
        stages = {"stem": "stem"}
        for index, num_layers in enumerate(block_layers, start=1):
            stage = f"block{index}"
            block = DenseBlock3D(
                num_layers, growth_rate, bottleneck_factor, rematerialize, **every, name=stage
            )
            x = block(x)
            stages[stage] = stage
            if stc:
                stages[stage] = f"{stage}_stc"
                x = SpatioTemporalChannelCorrelation(
                    **(stc_options or {}), **every, name=stages[stage]
                )(x)
            if index < len(block_layers):
                x = self._transition(x, index, every)
                stages[f"transition{index}"] = f"transition{index}"
        x = ClipBatchNormalization("relu", dtype=shared.dtype, name="final_bn")(x)

        super().__init__(shared, inputs, x, stages, locals())

    def _transition(self, x: Any, index: int, every: dict[str, Any]) -> Any:
        """BN - ReLU - Conv 1x1x1 to half the channels, then the pool: a TTL of one branch."""
        return TemporalTransition(
            filters=x.shape[-1] // 2, depths=(1,), **every, name=f"transition{index}"
        )(x)

    @classmethod
    def infer_options(cls, layers: Layers) -> dict[str, Any]:
        return {"block_layers": count_parts(layers, r"block(\d+)/layer\d+_")}


def _check_strides(
    input_shape: Sequence[Any],
    stem_stride: Sequence[int],
    stem_pool_stride: Sequence[int],
    num_transitions: int,
) -> None:
    """Raises InvalidArgumentError if the strides leave nothing of a clip."""
    strides = [a * b for a, b in zip(stem_stride, stem_pool_stride, strict=True)]
    after_stem = [
        -(-(-(-size // stride)) // pool)
        for size, stride, pool in zip(input_shape, stem_stride, stem_pool_stride, strict=False)
    ]
    if min(after_stem) >> num_transitions:
        return
    frames, height, width = ((2**num_transitions - 1) * stride + 1 for stride in strides)
    raise InvalidArgumentError(
        f"`input_shape` must be at least {frames} frames of {height}x{width} pixels, ({frames}, "
        f"{height}, {width}, 3): the stem divides frames, height and width by {tuple(strides)}, "
        f"and each of {num_transitions} transitions by 2. Received: {tuple(input_shape)}",
        argument="input_shape",
    )


_register = functools.partial(register, DenseNet3D, checkpoint=HARA)
DenseNet3D121 = _register(
    "DenseNet3D121",
    "densenet3d_121",
    "DenseNet3D with blocks of 6, 12, 24 and 16 layers.",
    published=(imagenet_of("DenseNet121", KERAS_IMAGES),),
    block_layers=(6, 12, 24, 16),
)
DenseNet3D169 = _register(
    "DenseNet3D169",
    "densenet3d_169",
    "DenseNet3D with blocks of 6, 12, 32 and 32 layers.",
    published=(imagenet_of("DenseNet169", KERAS_IMAGES),),
    block_layers=(6, 12, 32, 32),
)
DenseNet3D201 = _register(
    "DenseNet3D201",
    "densenet3d_201",
    "DenseNet3D with blocks of 6, 12, 48 and 32 layers.",
    published=(imagenet_of("DenseNet201", KERAS_IMAGES),),
    block_layers=(6, 12, 48, 32),
)
