"""The inverted residual block of mobile networks, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_t3d.layers.arguments import one_of, strided_sides, three_sizes, whole_number
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.normalized_convolution import NormalizedConv3D
from keras_t3d.layers.rematerialization import InTurn


@keras.saving.register_keras_serializable(package="keras_t3d")
class InvertedResidualBlock3D(CompositeLayer):
    """Inverted residual block: wide in the middle, with one convolution per channel.

    ```
    clip -+- Conv 1x1x1 - BN - ReLU6 - depthwise Conv - BN - ReLU6 - Conv 1x1x1 - BN -[STC]- add ->
          +--------------------------------- (if of equal shape) ----------------------------+
    ```

    With `temporal_depth`, a depthwise convolution over time precedes the one over space. It is
    added to its input, and starts from zeros: the fresh block computes each frame by itself.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the depthwise convolution: one integer or
            (1, height, width).
        strides: one integer for height and width, or (1, height, width). Frames are
            padded as Keras's `"same"` pads.
        expansion: the middle has this many times the channels of the input; 1 leaves out the
            first convolution.
        temporal_depth: frames that the convolution over time reads; 1 leaves it out.
        stc: `"residual"` for an STC block before the addition, or None.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: whether to keep only the block's input for the gradient, and recompute the
            rest.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time, height', width', filters)`, where a side n becomes
        `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 24).astype("float32")
    InvertedResidualBlock3D(40, kernel_size=5, strides=2)(features).shape  # (2, 8, 14, 14, 40)
    ```

    Reference:
        Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
        https://arxiv.org/abs/1801.04381
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 1,
        expansion: int = 6,
        temporal_depth: int = 1,
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer = "InvertedResidualBlock3D"
        self.filters = whole_number(layer, "filters", filters)
        self.kernel_size = three_sizes(layer, "kernel_size", _of_frames(kernel_size))
        self.strides = three_sizes(layer, "strides", _of_frames(strides))
        self.expansion = whole_number(layer, "expansion", expansion)
        self.temporal_depth = whole_number(layer, "temporal_depth", temporal_depth)
        self.stc = one_of(layer, "stc", stc, (None, "residual"))
        self.stc_options = dict(stc_options or {})
        self.rematerialize = rematerialize
        if self.stc:
            self.correlation = SpatioTemporalChannelCorrelation(
                **self.stc_options, causal=self.causal, name="stc", **self.inherited
            )

    def build(self, input_shape: Sequence[Any]) -> None:
        channels = input_shape[-1] * self.expansion
        if self.expansion > 1:
            self.expand = NormalizedConv3D(channels, 1, name="expand", **self.inherited)
        if self.temporal_depth > 1:
            self.over_time = ClipConv3D(
                channels,
                (self.temporal_depth, 1, 1),
                groups=channels,
                kernel_initializer="zeros",
                causal=self.causal,
                name="over_time",
                **self.inherited,
            )
        self.depthwise = NormalizedConv3D(
            channels, self.kernel_size, self.strides, channels, name="depthwise", **self.inherited
        )
        self.project = NormalizedConv3D(
            self.filters, 1, activation=None, name="project", **self.inherited
        )
        self.is_residual = max(self.strides) == 1 and input_shape[-1] == self.filters

        wide = (*input_shape[:-1], channels)
        if self.expansion > 1:
            self.expand.build(input_shape)
        if self.temporal_depth > 1:
            self.over_time.build(wide)
        self.depthwise.build(wide)
        self.project.build(self.depthwise.compute_output_shape(wide))
        if self.stc:
            self.correlation.build(self.compute_output_shape(input_shape))
        self.restore_trainable_flags()  # of the layers that were made here
        self.built = True

    @property
    def rematerialized(self) -> bool:
        return self.rematerialize

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        expand = InTurn(self.expand.in_turn() if self.expansion > 1 else [])
        filter_and_project = InTurn([*self.depthwise.in_turn(), *self.project.in_turn()])
        others: list[Any] = [self.over_time] if self.temporal_depth > 1 else []
        others += [self.correlation] if self.stc else []

        def compute(apply: Callable[[Any, Any], Any], clips: Any) -> Any:
            x = expand(apply, clips)
            x = x + apply(self.over_time, x) if self.temporal_depth > 1 else x
            x = filter_and_project(apply, x)
            x = apply(self.correlation, x) if self.stc else x
            return x + clips if self.is_residual else x

        return run(compute, [*expand.layers, *filter_and_project.layers, *others], [clips])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        batch, *sides, _ = input_shape
        return (batch, *strided_sides(sides, self.strides), self.filters)


def _of_frames(sizes: int | Sequence[int]) -> Any:
    """Returns (1, size, size) for one size: the block never reaches over time by itself."""
    return (1, sizes, sizes) if isinstance(sizes, int) else sizes
