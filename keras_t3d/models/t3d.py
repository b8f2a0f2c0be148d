"""T3D: DenseNet3D with Temporal Transition Layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of
from keras_t3d.layers.temporal_transition import VARIANTS, TemporalTransition
from keras_t3d.models.densenet3d import KERAS_IMAGES, DenseNet3D
from keras_t3d.models.keras_applications import imagenet_of
from keras_t3d.models.option_checks import checked_depths
from keras_t3d.models.options import ClassifierArguments
from keras_t3d.models.registry import register
from keras_t3d.models.weight_names import Layers, weights_by_layer

__all__ = ["T3D", "T3D121", "T3D169", "T3DTiny"]


@keras.saving.register_keras_serializable(package="keras_t3d")
class T3D(DenseNet3D):
    """DenseNet3D whose transitions are Temporal Transition Layers (TTL).

    Args:
        input_shape: (frames, height, width, 3), or the same after a batch dimension of None.
        num_classes: number of classes; None with `include_top=False`.
        variant: `"paper"`, or `"authors_code"`: depths (1, 3, 4) in every transition, a 1x1x1
            convolution over the concatenated branches, and a stem pool that halves time too.
        transition_filters: filters of each branch of a transition.
        transition_depths: temporal kernel depths of the branches of each transition; None is
            the variant's: (1, 3, 6) first and (1, 3, 4) after that in the paper.
        block_layers: number of dense layers of each block.
        growth_rate: channels that a dense layer adds.
        bottleneck_factor: a dense layer's 1x1x1 convolution has this many times `growth_rate`
            filters.
        stem_filters: filters of the stem.
        stem_kernel: kernel of the stem's convolution (time, height, width), odd.
        stem_stride: stride of the stem's convolution (time, height, width).
        stem_pool_stride: stride of the stem's 3x3x3 max pool (time, height, width); None is
            the variant's.
        stc: `"output"` for an STC block after each dense block, or None.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: as for `DenseNet3D`.
        **options: options that all families have.

    Raises:
        InvalidArgumentError: as for `DenseNet3D`.

    Reference:
        Diba et al., "Temporal 3D ConvNets: New Architecture and Transfer Learning for Video
        Classification", 2017, https://arxiv.org/abs/1711.08200
    """

    def __init__(
        self,
        input_shape: Sequence[int | None],
        num_classes: int | None = None,
        *,
        variant: str = "paper",
        transition_filters: int = 128,
        transition_depths: Sequence[Sequence[int]] | None = None,
        block_layers: Sequence[int] = (6, 12, 24, 16),
        growth_rate: int = 32,
        bottleneck_factor: int = 4,
        stem_filters: int = 64,
        stem_kernel: int | Sequence[int] = (3, 7, 7),
        stem_stride: int | Sequence[int] = (2, 2, 2),
        stem_pool_stride: int | Sequence[int] | None = None,
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **options: Unpack[ClassifierArguments],
    ) -> None:
        one_of("T3D", "variant", variant, VARIANTS)
        block_layers = checked_depths("block_layers", block_layers, "(6, 12, 24, 16)")
        num_transitions = len(block_layers) - 1
        if transition_depths is None:
            first = (1, 3, 6) if variant == "paper" else (1, 3, 4)
            transition_depths = (first, *[(1, 3, 4)] * num_transitions)[:num_transitions]
        if len(transition_depths) != num_transitions:
            raise InvalidArgumentError(
                f"`transition_depths` must have one tuple of depths for each of the "
                f"{num_transitions} transitions. Received: {transition_depths!r}",
                argument="transition_depths",
            )
        if stem_pool_stride is None:
            stem_pool_stride = (1, 2, 2) if variant == "paper" else (2, 2, 2)
        # Set before the parent builds the graph, which calls `_transition`.
        self.variant = variant
        self.transition_filters = transition_filters
        self.transition_depths = tuple(tuple(depths) for depths in transition_depths)
        super().__init__(
            input_shape,
            num_classes,
            block_layers=block_layers,
            growth_rate=growth_rate,
            bottleneck_factor=bottleneck_factor,
            stem_filters=stem_filters,
            stem_kernel=stem_kernel,
            stem_stride=stem_stride,
            stem_pool_stride=stem_pool_stride,
            stc=stc,
            stc_options=stc_options,
            rematerialize=rematerialize,
            **options,
        )

    def _transition(self, x: Any, index: int, every: dict[str, Any]) -> Any:
        return TemporalTransition(
            filters=self.transition_filters,
            depths=self.transition_depths[index - 1],
            variant=self.variant,
            **every,
            name=f"transition{index}",
        )(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "variant": self.variant,
            "transition_filters": self.transition_filters,
            "transition_depths": [list(depths) for depths in self.transition_depths],
        }

    def inflatable_layers(self, source: Layers) -> list[str]:
        """Returns the paths up to where the channels differ from the 2D network's.

        These are the stem, the first dense block and, if it is as wide as the 2D transition, the
        first TTL's branch of depth 1. If that branch's channels come first in the second dense
        block, then that block too: it reads the other branches with zeros.
        """
        # Later blocks stay fresh: their kernels would read the channels of an untrained 1x1
        # convolution, and their statistics would be wrong.
        reach = ["stem", "block1/"]
        transition = source.get("transition1/depth1_conv")
        if transition and transition["kernel"].shape[-1] == self.transition_filters:
            reach.append("transition1/depth1_")
            if self.transition_depths[0][0] == 1 and self.variant == "paper":
                reach.append("block2/")
        return [path for path in super().inflatable_layers(source) if path.startswith(tuple(reach))]

    def adapt_image_weights(self, path: str, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """Inserts the channels of the other branches, which kernels of block 2 read with zeros."""
        if not path.startswith("block2/"):
            return weights
        target = weights_by_layer(self)[path]
        wide = {}
        for name, value in weights.items():
            axis = -2 if name == "kernel" else -1
            shape = list(value.shape)
            shape[axis] = max(target[name].shape[axis] - shape[axis], 0)
            # A batch normalization with these values leaves the new channels unchanged.
            new = np.full(shape, 1.0 if name in ("gamma", "moving_variance") else 0.0)
            ahead, behind = np.split(value, [self.transition_filters], axis)
            wide[name] = np.concatenate([ahead, new, behind], axis)
        return wide

    def inflation_notes(self, inflated: Collection[str]) -> Iterator[str]:
        yield from super().inflation_notes(inflated)
        last = max(path.split("/")[0] for path in inflated if path.startswith("block"))
        yield f"a T3D has other channels than the 2D network after {last}: later layers are fresh."
        if last == "block2":
            yield (
                "block2 reads the channels of the first transition's deeper branches with zeros "
                "until it is trained."
            )


T3D121 = register(
    T3D,
    "T3D121",
    "t3d_121",
    "T3D with blocks of 6, 12, 24 and 16 layers.",
    published=(imagenet_of("DenseNet121", KERAS_IMAGES),),
    block_layers=(6, 12, 24, 16),
)
T3D169 = register(
    T3D,
    "T3D169",
    "t3d_169",
    "T3D with blocks of 6, 12, 32 and 32 layers.",
    published=(imagenet_of("DenseNet169", KERAS_IMAGES),),
    block_layers=(6, 12, 32, 32),
)
T3DTiny = register(
    T3D,
    "T3DTiny",
    "t3d_tiny",
    "A T3D that trains on two CPU cores in minutes.",
    block_layers=(2, 3, 3),
    growth_rate=16,
    bottleneck_factor=2,
    stem_filters=24,
    stem_kernel=(3, 5, 5),  # learns motion twice as fast as 7x7 on small frames
    transition_filters=16,
)
