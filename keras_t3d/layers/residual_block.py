"""The residual blocks of 3D ResNet and ResNeXt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, three_sizes, whole_number
from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.channel_correlation import SpatioTemporalChannelCorrelation
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.factorized_convolution import FactorizedConv3D
from keras_t3d.layers.rematerialization import InTurn

SHORTCUTS = ("projection", "zero_padding")
CONVOLUTIONS = ("3d", "2d", "2plus1d")
STC_IN_BLOCK = (None, "residual", "output")
KAIMING = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


class _ResidualBlock3D(CompositeLayer):
    """What the two blocks share: the shortcut, the STC block, and how they are run.

    A subclass appends to `convs` and `norms`, which take turns: conv, BN, conv, BN.
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
        self.stc = one_of(layer, "stc", stc, STC_IN_BLOCK)
        self.stc_options = dict(stc_options or {})
        self.rematerialize = rematerialize
        self.convs: list[Any] = []
        self.norms: list[Any] = []
        if stc:
            self.correlation = SpatioTemporalChannelCorrelation(
                **self.stc_options, dtype=self.dtype_policy, name="stc"
            )

    def _conv(
        self, filters: int, kernel_size: Any, strides: Any = 1, groups: int = 1, name: str = "conv"
    ) -> ClipConv3D:
        return ClipConv3D(
            filters,
            kernel_size,
            strides,
            groups,
            kernel_initializer=KAIMING,
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, activation: str | None, name: str) -> ClipBatchNormalization:
        return ClipBatchNormalization(activation, dtype=self.dtype_policy, name=name)

    @property
    def out_channels(self) -> int:
        """Channels of the block's output."""
        return self.filters

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            norm.build(shape)
        if self.stc:
            self.correlation.build(shape)
        self.is_identity = max(self.strides) == 1 and input_shape[-1] == self.out_channels
        if not self.is_identity and self.shortcut == "projection":
            self.shortcut_conv = self._conv(
                self.out_channels, 1, self.strides, name="shortcut_conv"
            )
            self.shortcut_bn = self._norm(None, "shortcut_bn")
            self.shortcut_conv.build(input_shape)
            self.shortcut_bn.build(shape)
        elif not self.is_identity and input_shape[-1] > self.out_channels:  # type: ignore[operator]
            raise InvalidArgumentError(
                f"{type(self).__name__}: shortcut='zero_padding' cannot take channels away: use "
                f"shortcut='projection'. Received: {input_shape[-1]} channels for a block of "
                f"{self.out_channels}"
            )
        self.built = True

    @property
    def rematerialized(self) -> bool:
        return self.rematerialize

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        layers = [layer for pair in zip(self.convs, self.norms, strict=True) for layer in pair]
        # The opening part ends in a costly convolution, which is not run twice.
        opening, closing = layers[:-3], layers[-3:]
        x = run(InTurn(opening), opening, [clips])

        def close(apply: Callable[[Any, Any], Any], x: Any, clips: Any) -> Any:
            residual = InTurn(closing)(apply, x)
            if self.stc == "residual":
                residual = apply(self.correlation, residual)
            y = ops.relu(residual + self._shortcut(apply, clips))
            return apply(self.correlation, y) if self.stc == "output" else y

        return run(close, [*closing, *self._side_layers()], [x, clips])

    def _side_layers(self) -> list[Any]:
        layers: list[Any] = [self.correlation] if self.stc else []
        if not self.is_identity and self.shortcut == "projection":
            layers += [self.shortcut_conv, self.shortcut_bn]
        return layers

    def _shortcut(self, apply: Callable[[Any, Any], Any], clips: Any) -> Any:
        if self.is_identity:
            return clips
        if self.shortcut == "projection":
            return apply(self.shortcut_bn, apply(self.shortcut_conv, clips))
        time, height, width = self.strides
        clips = clips[..., ::time, ::height, ::width, :]
        missing = self.out_channels - clips.shape[-1]
        return ops.pad(clips, [*[(0, 0)] * (len(clips.shape) - 1), (0, missing)])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        batch, *sides, _ = input_shape
        shrunk = [(side - 1) // s + 1 for side, s in zip(sides, self.strides, strict=True)]  # type: ignore[operator]
        return (batch, *shrunk, self.out_channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": list(self.strides),
            "shortcut": self.shortcut,
            "stc": self.stc,
            "stc_options": self.stc_options,
            "rematerialize": self.rematerialize,
        }


@keras.saving.register_keras_serializable(package="keras_t3d")
class BasicBlock3D(_ResidualBlock3D):
    """Residual block of two 3x3x3 convolutions, as in 3D ResNet-18 and -34.

    ```
    clip -+- Conv - BN - ReLU - Conv - BN -[STC]- add - ReLU -[STC]->
          +------ (strided: Conv 1x1x1 - BN) -----+
    ```

    Args:
        filters: channels of both convolutions and of the output.
        strides: int or three ints (time, height, width), of the first convolution.
        convolution: `"3d"` for 3x3x3, `"2d"` for 1x3x3, `"2plus1d"` for the factorised
            form of R(2+1)D.
        shortcut: where the block changes stride or channels, `"projection"` (shortcut B:
            Conv 1x1x1 and BN) or `"zero_padding"` (A: every stride-th value, new channels
            zero).
        stc: none, `"residual"` (an STC block before the addition) or `"output"` (after the
            last ReLU).
        stc_options: arguments of `SpatioTemporalChannelCorrelation`.
        rematerialize: keep for the gradient the first convolution's output only, and
            compute the rest again.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

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
        self.convolution = one_of("BasicBlock3D", "convolution", convolution, CONVOLUTIONS)
        if convolution == "2plus1d":
            return  # its middle filters follow from the input's channels
        kernel = 3 if convolution == "3d" else (1, 3, 3)
        self.convs.append(self._conv(filters, kernel, self.strides, name="conv1"))
        self.norms.append(self._norm("relu", "bn1"))
        self.convs.append(self._conv(filters, kernel, name="conv2"))
        self.norms.append(self._norm(None, "bn2"))

    def build(self, input_shape: Sequence[int | None]) -> None:
        if self.convolution == "2plus1d" and not self.convs:
            self._add_factorized(input_shape[-1])
        super().build(input_shape)

    def _add_factorized(self, channels: Any) -> None:
        # As many as give both together the parameters of one 3x3x3 convolution.
        middle = channels * self.filters * 27 // (channels * 9 + 3 * self.filters)
        for name, strides, activation in (("1", self.strides, "relu"), ("2", 1, None)):
            conv = FactorizedConv3D(
                self.filters,
                middle,
                3,
                strides,
                kernel_initializer=KAIMING,
                dtype=self.dtype_policy,
                name=f"conv{name}",
            )
            self.convs.append(conv)
            self.norms.append(self._norm(activation, f"bn{name}"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "convolution": self.convolution}


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
        strides: int or three ints (time, height, width), of the 3x3x3 convolution.
        expansion: the output has this many times `filters` channels: 4 in ResNet, 2
            in ResNeXt.
        groups: groups of the 3x3x3 convolution, ResNeXt's cardinality.
        shortcut: as for `BasicBlock3D`.
        stc: as for `BasicBlock3D`.
        stc_options: as for `BasicBlock3D`.
        rematerialize: keep for the gradient the 3x3x3 convolution's output only, and
            compute the rest again.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, strides, shortcut, stc, stc_options, rematerialize, **kwargs)
        self.expansion = whole_number("BottleneckBlock3D", "expansion", expansion)
        self.groups = whole_number("BottleneckBlock3D", "groups", groups)
        self.convs.append(self._conv(filters, 1, name="conv1"))
        self.norms.append(self._norm("relu", "bn1"))
        self.convs.append(self._conv(filters, 3, self.strides, groups, name="conv2"))
        self.norms.append(self._norm("relu", "bn2"))
        self.convs.append(self._conv(self.out_channels, 1, name="conv3"))
        self.norms.append(self._norm(None, "bn3"))

    @property
    def out_channels(self) -> int:
        return self.filters * self.expansion

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "expansion": self.expansion, "groups": self.groups}
