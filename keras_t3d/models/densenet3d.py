"""DenseNet3D, and T3D, which replaces its transitions by Temporal Transition Layers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_t3d.clips import ClipSpec
from keras_t3d.layers.clip_normalization import ClipNormalization
from keras_t3d.layers.precision import logits_dtype, pooling_dtype
from keras_t3d.layers.temporal_transition import VARIANTS, TemporalTransition
from keras_t3d.models.video_classifier import EMBEDDING, VideoClassifier

_BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


@keras.saving.register_keras_serializable(package="keras_t3d")
class DenseNet3D(VideoClassifier):
    """DenseNet with 3D convolutions.

    ```
    clips - normalisation - stem - [block - transition] x n - block - BN - ReLU
          - global average pool ("embedding") - dropout - dense ("logits")
    ```

    The outputs of `"stem"`, `"block1"`, `"transition1"`, ... are layers of those
    names: see `feature_model`.

    Args:
        input_shape: four ints (frames, height, width, 3).
        num_classes: int. Number of classes.
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
        dropout: float in [0, 1). Rate before the classifying layer. Defaults to `0.0`.
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
        num_classes: int,
        block_layers: Sequence[int],
        growth_rate: int = 32,
        bottleneck_factor: int = 4,
        stem_filters: int = 64,
        stem_kernel: Sequence[int] = (3, 7, 7),
        stem_stride: Sequence[int] = (2, 2, 2),
        stem_pool_stride: Sequence[int] = (1, 2, 2),
        dropout: float = 0.0,
        clip_spec: ClipSpec | None = None,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        input_shape = _checked_input_shape(input_shape)
        spec = ClipSpec.for_input_shape(input_shape) if clip_spec is None else clip_spec
        num_classes = _whole_number("num_classes", num_classes)
        _check_counts(num_classes, block_layers, stem_kernel, dropout)
        _check_strides(input_shape, stem_stride, stem_pool_stride, len(block_layers) - 1)

        inputs = keras.Input(input_shape, name="clips", dtype="float32")
        x = ClipNormalization(spec.mean, spec.std, dtype=dtype, name="normalization")(inputs)
        x = _stem(x, stem_filters, stem_kernel, stem_stride, stem_pool_stride, dtype)
        for block, num_layers in enumerate(block_layers, start=1):
            x = _dense_block(x, block, num_layers, growth_rate, bottleneck_factor, dtype)
            if block < len(block_layers):
                x = self._transition(x, block, dtype)
        x = _norm_relu(x, "final", dtype)
        x = layers.GlobalAveragePooling3D(dtype=dtype, name=EMBEDDING)(x)
        if dropout:
            x = layers.Dropout(dropout, dtype=dtype, name="dropout")(x)
        outputs = layers.Dense(num_classes, dtype=logits_dtype(dtype), name="logits")(x)

        super().__init__(inputs, outputs, clip_spec=spec, class_names=class_names, name=name)
        self.config = {
            "input_shape": list(input_shape),
            "block_layers": list(block_layers),
            "growth_rate": growth_rate,
            "bottleneck_factor": bottleneck_factor,
            "stem_filters": stem_filters,
            "stem_kernel": list(stem_kernel),
            "stem_stride": list(stem_stride),
            "stem_pool_stride": list(stem_pool_stride),
            "dropout": dropout,
            "dtype": keras.dtype_policies.serialize(dtype),
        }

    def _transition(self, x: Any, block: int, dtype: Any) -> Any:
        """Halves the channels, then time, height and width."""
        name = f"transition{block}"
        x = _norm_relu(x, name, dtype)
        x = _conv(x, x.shape[-1] // 2, (1, 1, 1), f"{name}_conv", dtype)
        return layers.AveragePooling3D(2, 2, dtype=pooling_dtype(dtype), name=name)(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **self.config,
            "num_classes": self.num_classes,
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names),
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

    def _transition(self, x: Any, block: int, dtype: Any) -> Any:
        return TemporalTransition(
            filters=self.transition_filters,
            depths=self.transition_depths[block - 1],
            variant=self.variant,
            dtype=dtype,
            name=f"transition{block}",
        )(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "variant": self.variant,
            "transition_filters": self.transition_filters,
            "transition_depths": [list(depths) for depths in self.transition_depths],
        }


# The named networks.


def DenseNet3D121(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 24 and 16 layers. See `DenseNet3D` for the arguments.

    Example:

    ```python
    model = keras_t3d.models.DenseNet3D121(input_shape=(16, 112, 112, 3), num_classes=101)
    ```
    """
    return _named(DenseNet3D, "densenet3d_121", (6, 12, 24, 16), input_shape, num_classes, kwargs)


def DenseNet3D169(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 32 and 32 layers. See `DenseNet3D` for the arguments."""
    return _named(DenseNet3D, "densenet3d_169", (6, 12, 32, 32), input_shape, num_classes, kwargs)


def DenseNet3D201(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 48 and 32 layers. See `DenseNet3D` for the arguments."""
    return _named(DenseNet3D, "densenet3d_201", (6, 12, 48, 32), input_shape, num_classes, kwargs)


def T3D121(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> T3D:
    """T3D with blocks of 6, 12, 24 and 16 layers. See `T3D` for the arguments.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    model = keras_t3d.models.T3D121(
        input_shape=(16, 112, 112, 3), num_classes=2, class_names=["run", "walk"], clip_spec=spec
    )
    ```
    """
    return _named(T3D, "t3d_121", (6, 12, 24, 16), input_shape, num_classes, kwargs)


def T3D169(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> T3D:
    """T3D with blocks of 6, 12, 32 and 32 layers. See `T3D` for the arguments."""
    return _named(T3D, "t3d_169", (6, 12, 32, 32), input_shape, num_classes, kwargs)


def T3DTiny(*, input_shape: Sequence[int], num_classes: int, **kwargs: Any) -> T3D:
    """A T3D small enough to train on two CPU cores in minutes. See `T3D` for the arguments."""
    tiny = {
        "growth_rate": 16,
        "bottleneck_factor": 2,
        "stem_filters": 24,
        "stem_kernel": (3, 5, 5),  # learns motion twice as fast as 7x7 on small frames
        "transition_filters": 16,
    }
    return _named(T3D, "t3d_tiny", (2, 3, 3), input_shape, num_classes, {**tiny, **kwargs})


def _named(
    network: type[Any],
    name: str,
    block_layers: tuple[int, ...],
    input_shape: Sequence[int],
    num_classes: int,
    kwargs: dict[str, Any],
) -> Any:
    arguments = {"block_layers": block_layers, "name": name, **kwargs}
    return network(input_shape=input_shape, num_classes=num_classes, **arguments)


# The parts of the graph.


def _stem(
    x: Any,
    filters: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    pool_stride: Sequence[int],
    dtype: Any,
) -> Any:
    # Padded explicitly and evenly: "same" pads strided layers unevenly, unlike PyTorch.
    padding = tuple(side // 2 for side in kernel)
    x = layers.ZeroPadding3D(padding, dtype=dtype, name="stem_conv_padding")(x)
    x = layers.Conv3D(
        filters,
        tuple(kernel),
        strides=tuple(stride),
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=dtype,
        name="stem_conv",
    )(x)
    x = _norm_relu(x, "stem", dtype)
    x = layers.ZeroPadding3D(1, dtype=dtype, name="stem_pool_padding")(
        x
    )  # zero is the ReLU's floor
    pool = layers.MaxPooling3D(3, tuple(pool_stride), dtype=pooling_dtype(dtype), name="stem")
    return pool(x)


def _dense_block(
    x: Any, block: int, num_layers: int, growth_rate: int, bottleneck_factor: int, dtype: Any
) -> Any:
    for index in range(1, num_layers + 1):
        name = f"block{block}_layer{index}"
        new = _norm_relu(x, f"{name}_bottleneck", dtype)
        new = _conv(
            new, bottleneck_factor * growth_rate, (1, 1, 1), f"{name}_bottleneck_conv", dtype
        )
        new = _norm_relu(new, name, dtype)
        new = _conv(new, growth_rate, (3, 3, 3), f"{name}_conv", dtype)
        concat = f"block{block}" if index == num_layers else f"{name}_concat"
        x = layers.Concatenate(dtype=dtype, name=concat)([x, new])
    return x


def _norm_relu(x: Any, name: str, dtype: Any) -> Any:
    x = layers.BatchNormalization(**_BATCH_NORM, dtype=dtype, name=f"{name}_bn")(x)
    return layers.ReLU(dtype=dtype, name=f"{name}_relu")(x)


def _conv(x: Any, filters: int, kernel: tuple[int, int, int], name: str, dtype: Any) -> Any:
    return layers.Conv3D(
        filters,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=dtype,
        name=name,
    )(x)


# What the arguments must be.


def _whole_number(name: str, value: Any) -> int:
    try:
        return operator.index(value)  # NumPy's integers too
    except TypeError:
        raise ValueError(f"`{name}` must be a whole number. Received: {value!r}") from None


def _checked_input_shape(input_shape: Sequence[int]) -> tuple[int, int, int, int]:
    shape = tuple(_whole_number("input_shape", side) for side in input_shape)
    if len(shape) != 4 or shape[-1] != 3 or min(shape) < 1:
        raise ValueError(
            "`input_shape` must be four whole numbers (frames, height, width, 3), "
            f"for example (16, 112, 112, 3). Received: {input_shape!r}"
        )
    return shape


def _check_counts(
    num_classes: int, block_layers: Sequence[int], stem_kernel: Sequence[int], dropout: float
) -> None:
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be at least 1. Received: {num_classes!r}")
    if not block_layers or min(block_layers) < 1:
        raise ValueError(
            "`block_layers` must be the number of dense layers of each block, "
            f"for example (6, 12, 24, 16). Received: {block_layers!r}"
        )
    if len(stem_kernel) != 3 or not all(size % 2 for size in stem_kernel):
        raise ValueError(
            "`stem_kernel` must be three odd numbers (time, height, width), for example (3, 7, 7). "
            f"Received: {stem_kernel!r}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1), for example 0.5. Received: {dropout!r}")


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
