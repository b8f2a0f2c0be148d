"""The (2+1)D convolution of R(2+1)D networks: space first, then time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_t3d.layers.arguments import three_sizes, whole_number
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.rematerialization import InTurn


@keras.saving.register_keras_serializable(package="keras_t3d")
class FactorizedConv3D(CompositeLayer):
    """A 3D convolution as a 2D one in space and a 1D one in time, with BN - ReLU between.

    ```
    clip - Conv 1 x kh x kw - BN - ReLU - Conv kt x 1 x 1 ->
    ```

    Args:
        filters: output channels.
        middle_filters: channels between the two convolutions. R(2+1)D networks take
            as many as give the parameters of the 3D convolution.
        kernel_size: one integer or (time, height, width).
        strides: one integer or (time, height, width).
        kernel_initializer: Keras initializer.
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
    clips = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    FactorizedConv3D(64, middle_filters=144)(clips).shape  # (2, 8, 28, 28, 64)
    ```

    Reference:
        Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action
        Recognition", 2018, https://arxiv.org/abs/1711.11248
    """

    def __init__(
        self,
        filters: int,
        middle_filters: int,
        kernel_size: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 1,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = whole_number("FactorizedConv3D", "filters", filters)
        self.middle_filters = whole_number("FactorizedConv3D", "middle_filters", middle_filters)
        self.kernel_size = three_sizes("FactorizedConv3D", "kernel_size", kernel_size)
        self.strides = three_sizes("FactorizedConv3D", "strides", strides)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        options = {
            "kernel_initializer": kernel_initializer,
            "causal": self.causal,
            **self.inherited,
        }
        time, *space = self.kernel_size
        self.space_conv = ClipConv3D(
            middle_filters, (1, *space), (1, *self.strides[1:]), name="space_conv", **options
        )
        self.bn = self._norm("bn")
        self.time_conv = ClipConv3D(
            filters, (time, 1, 1), (self.strides[0], 1, 1), name="time_conv", **options
        )

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape)
        for layer in self.in_turn():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def in_turn(self) -> list[Any]:  # no property: Keras would save the layers under its name
        """Returns the layers, in the order in which they run."""
        return [self.space_conv, self.bn, self.time_conv]

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        return run(InTurn(self.in_turn()), self.in_turn(), [clips])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return self.time_conv.compute_output_shape(
            self.space_conv.compute_output_shape(input_shape)
        )


def equal_middle_filters(channels: int, filters: int) -> int:
    """Returns the middle filters with which two factors have a 3x3x3 convolution's parameters."""
    return channels * filters * 27 // (channels * 9 + 3 * filters)
