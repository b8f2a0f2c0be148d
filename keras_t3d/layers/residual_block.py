"""The residual blocks of 3D ResNet and ResNeXt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, strided_sides, three_sizes, whole_number
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.factorized_convolution import FactorizedConv3D, equal_middle_filters
from keras_t3d.layers.rematerialization import InTurn

SHORTCUTS = ("projection", "zero_padding")
KAIMING = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


class _ResidualBlock3D(CompositeLayer):
    """Base of the blocks: the shortcut, the STC block, and the order of the parts.

    A subclass adds its layers by `_append`.
    """

    def __init__(
        self,
        filters: int,
        strides: int | Sequence[int],
        shortcut: str,
        stc: str | None,
        stc_options: Mapping[str, Any] | None,
        rematerialize: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer = type(self).__name__
        self.filters = whole_number(layer, "filters", filters)
        self.strides = three_sizes(layer, "strides", strides)
        self.shortcut = one_of(layer, "shortcut", shortcut, SHORTCUTS)
        self.stc = one_of(layer, "stc", stc, (None, "residual", "output"))
        self.stc_options = dict(stc_options or {})
        self.rematerialize = rematerialize
        self.convs: list[Any] = []
        self.norms: list[Any] = []
        if stc:
            self.correlation = SpatioTemporalChannelCorrelation(
                **self.stc_options, causal=self.causal, name="stc", **self.inherited
            )

    def _append(self, layer: type[Any], activation: str | None, *sizes: Any) -> None:
        """Adds a convolution and its batch normalization."""
        number = len(self.convs) + 1
        self.convs.append(self._conv(f"conv{number}", *sizes, layer=layer))
        self.norms.append(self._norm(f"bn{number}", activation))

    def _conv(self, name: str, *sizes: Any, layer: type[Any] = ClipConv3D) -> Any:
        options = {"kernel_initializer": KAIMING, "causal": self.causal, "name": name}
        return layer(*sizes, **options, **self.inherited)

    @property
    def out_channels(self) -> int:
        """Channels of the block's output."""
        return self.filters

    def build(self, input_shape: Sequence[Any]) -> None:
        shape = tuple(input_shape)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            norm.build(shape)
        if self.stc:
            self.correlation.build(shape)
        self.is_identity = max(self.strides) == 1 and input_shape[-1] == self.out_channels
        if not self.is_identity and self.shortcut == "projection":
            self.shortcut_conv = self._conv("shortcut_conv", self.out_channels, 1, self.strides)
            self.shortcut_bn = self._norm("shortcut_bn", None)
            self.shortcut_conv.build(input_shape)
            self.shortcut_bn.build(shape)
        elif input_shape[-1] > self.out_channels:
            raise InvalidArgumentError(
                f"{type(self).__name__}: shortcut='zero_padding' cannot remove channels: use "
                f"shortcut='projection'. Received: {input_shape[-1]} channels for a block of "
                f"{self.out_channels}",
                argument="shortcut",
            )
        self.restore_trainable_flags()  # of the layers that were made here
        self.built = True

    @property
    def rematerialized(self) -> bool:
        return self.rematerialize

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        layers: list[Any] = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            layers += conv.in_turn() if isinstance(conv, FactorizedConv3D) else [conv]
            layers.append(norm)
        # The opening part ends in a costly convolution, which is not computed again.
        start = layers.index(self.norms[-2])
        opening, closing = layers[:start], layers[start:]
        x = run(InTurn(opening), opening, [clips])

        def close(apply: Callable[[Any, Any], Any], x: Any, clips: Any) -> Any:
            residual = InTurn(closing)(apply, x)
            if self.stc == "residual":
                residual = apply(self.correlation, residual)
            y = ops.relu(residual + self._shortcut(apply, clips))
            return apply(self.correlation, y) if self.stc == "output" else y

        others: list[Any] = [self.correlation] if self.stc else []
        if not self.is_identity and self.shortcut == "projection":
            others += [self.shortcut_conv, self.shortcut_bn]
        return run(close, [*closing, *others], [x, clips])

    def _shortcut(self, apply: Callable[[Any, Any], Any], clips: Any) -> Any:
        if self.is_identity:
            return clips
        if self.shortcut == "projection":
            return apply(self.shortcut_bn, apply(self.shortcut_conv, clips))
        time, height, width = self.strides
        first = time - 1 if self.causal else 0  # a causal step ends with the frame that is read
        clips = clips[..., first::time, ::height, ::width, :]
        missing = self.out_channels - clips.shape[-1]
        return ops.pad(clips, [*[(0, 0)] * (len(clips.shape) - 1), (0, missing)])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        batch, *sides, _ = input_shape
        return (batch, *strided_sides(sides, self.strides), self.out_channels)


@keras.saving.register_keras_serializable(package="keras_t3d")
class BasicBlock3D(_ResidualBlock3D):
    """Residual block of two 3x3x3 convolutions, as in 3D ResNet-18 and -34.

    ```
    clip -+- Conv - BN - ReLU - Conv - BN -[STC]- add - ReLU -[STC]->
          +------ (strided: Conv 1x1x1 - BN) -----+
    ```

    Args:
        filters: channels of both convolutions and of the output.
        strides: strides of the first convolution, one integer or (time, height, width).
        convolution: `"3d"` for 3x3x3, `"2d"` for 1x3x3, `"2plus1d"` for the factorized
            form of R(2+1)D, whose middle filters give the first convolution the parameters of a
            3x3x3 one; `"2plus1d_each"` has other middle filters in the second, for the same.
        shortcut: shortcut of a block that changes size or channels: `"projection"` (B: Conv 1x1x1
            and BN) or `"zero_padding"` (A: every stride-th value, zeros in new channels).
        stc: position of an STC block: `"residual"` (before the addition) or `"output"` (after the
            last ReLU); None for none.
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: whether to keep only the first convolution's output for the gradient, and
            recompute the rest.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time', height', width', filters)`, where a side n
        becomes `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    BasicBlock3D(128, strides=2, stc="residual")(features).shape  # (2, 4, 14, 14, 128)
    ```

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", 2016,
        https://arxiv.org/abs/1512.03385, in 3D as in Hara et al., 2018,
        https://arxiv.org/abs/1711.09577
    """

    def __init__(
        self,
        filters: int,
        strides: int | Sequence[int] = 1,
        convolution: str = "3d",
        shortcut: str = "projection",
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, strides, shortcut, stc, stc_options, rematerialize, **kwargs)
        self.convolution = one_of(
            "BasicBlock3D", "convolution", convolution, ("3d", "2d", "2plus1d", "2plus1d_each")
        )
        if convolution in ("3d", "2d"):  # middle filters depend on the input's channels
            kernel = 3 if convolution == "3d" else (1, 3, 3)
            self._append(ClipConv3D, "relu", filters, kernel, self.strides)
            self._append(ClipConv3D, None, filters, kernel)

    def build(self, input_shape: Sequence[Any]) -> None:
        if not self.convs:
            filters, middle = self.filters, equal_middle_filters(input_shape[-1], self.filters)
            self._append(FactorizedConv3D, "relu", filters, middle, 3, self.strides)
            if self.convolution == "2plus1d_each":
                middle = equal_middle_filters(filters, filters)
            self._append(FactorizedConv3D, None, filters, middle)
        super().build(input_shape)


@keras.saving.register_keras_serializable(package="keras_t3d")
class BottleneckBlock3D(_ResidualBlock3D):
    """Residual block of 1x1x1, 3x3x3 and 1x1x1 convolutions, as in 3D ResNet-50 and ResNeXt.

    ```
    clip -+- Conv 1x1x1 - BN - ReLU - Conv 3x3x3 - BN - ReLU - Conv 1x1x1 - BN -[STC]- add
          |                                                                             |
          +------------------- (strided: Conv 1x1x1 - BN) ------------------------------+
                                                                   <-[STC]- ReLU -------+
    ```

    Args:
        filters: channels of the first two convolutions.
        strides: strides of the 3x3x3 convolution, one integer or (time, height, width).
        expansion: the output has this many times `filters` channels: 4 in ResNet, 2
            in ResNeXt.
        groups: groups of the 3x3x3 convolution, ResNeXt's cardinality.
        shortcut: as for `BasicBlock3D`.
        stc: as for `BasicBlock3D`.
        stc_options: as for `BasicBlock3D`.
        rematerialize: whether to keep only the 3x3x3 convolution's output for the gradient, and
            recompute the rest.
        convolution: `"3d"`, or `"2plus1d_each"` for a factorized 3x3x3 convolution with the same
            number of parameters, which has no groups.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time', height', width', filters * expansion)`, where a side
        n becomes `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    BottleneckBlock3D(128, expansion=2, groups=32)(features).shape  # (2, 8, 28, 28, 256)
    ```

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", 2016,
        https://arxiv.org/abs/1512.03385; Xie et al., "Aggregated Residual
        Transformations for Deep Neural Networks", 2017, https://arxiv.org/abs/1611.05431;
        in 3D as in Hara et al., 2018, https://arxiv.org/abs/1711.09577
    """

    def __init__(
        self,
        filters: int,
        strides: int | Sequence[int] = 1,
        expansion: int = 4,
        groups: int = 1,
        shortcut: str = "projection",
        stc: str | None = None,
        stc_options: Mapping[str, Any] | None = None,
        rematerialize: bool = False,
        convolution: str = "3d",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, strides, shortcut, stc, stc_options, rematerialize, **kwargs)
        self.expansion = whole_number("BottleneckBlock3D", "expansion", expansion)
        self.groups = whole_number("BottleneckBlock3D", "groups", groups)
        self.convolution = one_of(
            "BottleneckBlock3D", "convolution", convolution, ("3d", "2plus1d_each")
        )
        self._append(ClipConv3D, "relu", filters, 1)
        if convolution == "3d":
            self._append(ClipConv3D, "relu", filters, 3, self.strides, groups)
        else:
            if groups != 1:
                raise InvalidArgumentError(
                    "BottleneckBlock3D: `groups` must be 1 with convolution='2plus1d_each'. "
                    f"Received: {groups}",
                    argument="groups",
                )
            middle = equal_middle_filters(filters, filters)
            self._append(FactorizedConv3D, "relu", filters, middle, 3, self.strides)
        self._append(ClipConv3D, None, self.out_channels, 1)

    @property
    def out_channels(self) -> int:
        return self.filters * self.expansion
