"""DenseNet3D, and T3D, which replaces its transitions by Temporal Transition Layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_t3d.clips import ClipSpec
from keras_t3d.layers.arguments import three_sizes
from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.dense_block import DenseBlock3D
from keras_t3d.layers.stem import Stem3D
from keras_t3d.layers.temporal_transition import VARIANTS, TemporalTransition
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


@keras.saving.register_keras_serializable(package="keras_t3d")
class DenseNet3D(VideoClassifier):
    """DenseNet with 3D convolutions.

    ```
    clips - normalisation - stem - [block - transition] x n - block - BN - ReLU
          - global average pool ("embedding") - dropout - dense ("logits")
    ```

    Its stages, for `feature_model`, are `"stem"`, `"block1"`, `"transition1"`, `"block2"`, ...

    Args:
        input_shape: four ints (frames, height, width, 3).
        num_classes: int. Number of classes; None with `include_top=False`.
        block_layers: ints. Dense layers of each block.
        growth_rate: int. Channels that a dense layer adds. Defaults to `32`.
        bottleneck_factor: int. A dense layer's 1x1x1 convolution has this many
            times `growth_rate` filters. Defaults to `4`.
        stem_filters: int. Defaults to `64`.
        stem_kernel: three ints (time, height, width), odd. Defaults to `(3, 7, 7)`.
        stem_stride: three ints. Stride of the stem's convolution. Defaults to
            `(2, 2, 2)`.
        stem_pool_stride: three ints. Stride of the stem's 3x3x3 max pool. Defaults
            to `(1, 2, 2)`, which the paper's printed sizes need.
        stc: None or `"output"`: an STC block after each dense block. Defaults to `None`.
        stc_options: dict. Arguments of `SpatioTemporalChannelCorrelation`. Defaults to `None`.
        dropout: float in [0, 1). Rate before the classifying layer. Defaults to `0.0`.
        include_top: bool. Whether the network ends in logits, or in features. Defaults to
            `True`.
        pooling: `"avg"` or `"max"`, over time and space, to the embedding; without top also
            None, which leaves the feature map. Defaults to `"avg"`.
        rematerialize: bool. Compute the dense layers' 1x1x1 convolutions a second time for
            the gradient instead of keeping them, as their concatenations and batch
            normalisations always are: a quarter less memory a clip. Defaults to `False`.
        clip_spec: ClipSpec. Defaults to that of `input_shape`.
        class_names: strings. Defaults to `"class_0"`, `"class_1"`, ...
        name: str. Name of the model.
        dtype: dtype policy, such as `"mixed_bfloat16"`. Logits are float32 under
            every policy that computes in less. Defaults to Keras's global policy.

    Raises:
        ValueError: if an argument is out of its range, or the strides leave
            nothing of a clip of that length or size.

    Reference:
        Huang et al., "Densely Connected Convolutional Networks", 2017,
        https://arxiv.org/abs/1608.06993, in 3D as in Diba et al., 2017,
        https://arxiv.org/abs/1711.08200
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int | None = None,
        block_layers: Sequence[int],
        growth_rate: int = 32,
        bottleneck_factor: int = 4,
        stem_filters: int = 64,
        stem_kernel: Sequence[int] = (3, 7, 7),
        stem_stride: Sequence[int] = (2, 2, 2),
        stem_pool_stride: Sequence[int] = (1, 2, 2),
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
        block_layers = checked_depths("block_layers", block_layers, "(6, 12, 24, 16)")
        checked_stc(stc, stc_options, (None, "output"))
        stem_kernel = checked_odd("stem_kernel", stem_kernel)
        stem_stride = three_sizes("stem", "stem_stride", stem_stride)
        stem_pool_stride = three_sizes("stem", "stem_pool_stride", stem_pool_stride)
        _check_strides(input_shape, stem_stride, stem_pool_stride, len(block_layers) - 1)

        inputs, x = clip_input(spec, dtype)
        x = Stem3D(
            stem_filters,
            stem_kernel,
            stem_stride,
            stem_pool_stride,
            dtype=dtype,
            name="stem",
        )(x)
        stages = {"stem": "stem"}
        for index, num_layers in enumerate(block_layers, start=1):
            stage = f"block{index}"
            block = DenseBlock3D(
                num_layers, growth_rate, bottleneck_factor, rematerialize, dtype=dtype, name=stage
            )
            x = block(x)
            stages[stage] = stage
            if stc:
                stages[stage] = f"{stage}_stc"
                x = SpatioTemporalChannelCorrelation(
                    **(stc_options or {}), dtype=dtype, name=stages[stage]
                )(x)
            if index < len(block_layers):
                x = self._transition(x, index, dtype)
                stages[f"transition{index}"] = f"transition{index}"
        x = ClipBatchNormalization("relu", dtype=dtype, name="final_bn")(x)
        outputs = head(x, include_top, num_classes, pooling, dropout, dtype)

        names = class_names if include_top else ()
        super().__init__(inputs, outputs, spec, class_names=names, stages=stages, name=name)
        self.config = {
            "input_shape": list(input_shape),
            "num_classes": num_classes,
            "block_layers": list(block_layers),
            "growth_rate": growth_rate,
            "bottleneck_factor": bottleneck_factor,
            "stem_filters": stem_filters,
            "stem_kernel": list(stem_kernel),
            "stem_stride": list(stem_stride),
            "stem_pool_stride": list(stem_pool_stride),
            "stc": stc,
            "stc_options": dict(stc_options or {}),
            "dropout": dropout,
            "include_top": include_top,
            "pooling": pooling,
            "rematerialize": rematerialize,
            "dtype": keras.dtype_policies.serialize(dtype),
        }

    def _transition(self, x: Any, index: int, dtype: Any) -> Any:
        """BN - ReLU - Conv 1x1x1 to half the channels, then the pool: a TTL of one branch."""
        return TemporalTransition(
            filters=x.shape[-1] // 2,
            depths=(1,),
            dtype=dtype,
            name=f"transition{index}",
        )(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **self.config,
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names) or None,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="keras_t3d")
class T3D(DenseNet3D):
    """DenseNet3D whose transitions are Temporal Transition Layers.

    Args:
        variant: `"paper"`, or `"authors_code"`: depths (1, 3, 4) in every
            transition, a 1x1x1 convolution over the concatenated branches, and
            a stem pool that halves time too. Defaults to `"paper"`.
        transition_filters: int. Filters of each branch of a transition.
            Defaults to `128`.
        transition_depths: tuples of ints, one for each transition, the depths of
            its branches. Defaults to the variant's: (1, 3, 6) first and
            (1, 3, 4) after that in the paper.
        **kwargs: arguments of `DenseNet3D`.

    Raises:
        ValueError: as DenseNet3D.

    Reference:
        Diba et al., "Temporal 3D ConvNets: New Architecture and Transfer
        Learning for Video Classification", 2017, https://arxiv.org/abs/1711.08200
    """

    def __init__(
        self,
        *,
        block_layers: Sequence[int],
        variant: str = "paper",
        transition_filters: int = 128,
        transition_depths: Sequence[Sequence[int]] | None = None,
        stem_pool_stride: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"T3D: `variant` must be one of {VARIANTS}. Received: {variant!r}")
        block_layers = checked_depths("block_layers", block_layers, "(6, 12, 24, 16)")
        num_transitions = len(block_layers) - 1
        if transition_depths is None:
            first = (1, 3, 6) if variant == "paper" else (1, 3, 4)
            transition_depths = (first, *[(1, 3, 4)] * num_transitions)[:num_transitions]
        if len(transition_depths) != num_transitions:
            raise ValueError(
                f"T3D: `transition_depths` must be one tuple of depths for each of the "
                f"{num_transitions} transitions between {len(block_layers)} blocks. "
                f"Received: {transition_depths!r}"
            )
        if stem_pool_stride is None:
            stem_pool_stride = (1, 2, 2) if variant == "paper" else (2, 2, 2)
        # Set before the parent builds the graph, which calls `_transition`.
        self.variant = variant
        self.transition_filters = transition_filters
        self.transition_depths = tuple(tuple(depths) for depths in transition_depths)
        super().__init__(block_layers=block_layers, stem_pool_stride=stem_pool_stride, **kwargs)

    def _transition(self, x: Any, index: int, dtype: Any) -> Any:
        return TemporalTransition(
            filters=self.transition_filters,
            depths=self.transition_depths[index - 1],
            variant=self.variant,
            dtype=dtype,
            name=f"transition{index}",
        )(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "variant": self.variant,
            "transition_filters": self.transition_filters,
            "transition_depths": [list(depths) for depths in self.transition_depths],
        }


# What the arguments must be.


def _check_strides(
    input_shape: tuple[int, int, int, int],
    stem_stride: Sequence[int],
    stem_pool_stride: Sequence[int],
    num_transitions: int,
) -> None:
    """Refuses clips of which the strides leave nothing, and says how long is long enough."""
    axes = ("frames", "height", "width")
    for axis, size, stride, pool in zip(
        axes, input_shape[:3], stem_stride, stem_pool_stride, strict=True
    ):
        after_stem = -(-(-(-size // stride)) // pool)
        if after_stem >> num_transitions:
            continue
        smallest = ((2**num_transitions - 1) * pool) * stride + 1
        raise ValueError(
            f"The strides leave nothing of clips with {axis} = {size}: the stem divides by "
            f"{stride * pool}, then each of {num_transitions} transitions halves. This network "
            f"needs {axis} of at least {smallest}. Received: input_shape={input_shape}"
        )
