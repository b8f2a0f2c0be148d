"""The stem: the first convolution of a network, and the pool after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.layers.arguments import three_sizes, whole_number
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.factorized_convolution import FactorizedConv3D
from keras_t3d.layers.max_pooling import ClipMaxPooling3D
from keras_t3d.layers.rematerialization import InTurn


@keras.saving.register_keras_serializable(package="keras_t3d")
class Stem3D(CompositeLayer):
    """A convolution with a large kernel, batch normalization, a max pool and a ReLU.

    ```
    clip - Conv - BN - max pool 3x3x3 - ReLU ->
    ```

    A maximum of ReLUs is the ReLU of the maximum: this order gives what the usual one does,
    and has an eighth of the values to go through.

    Args:
        filters: output channels.
        kernel_size: one integer or (time, height, width).
        strides: int or three ints, of the convolution.
        pool_strides: int, three ints, or None, which leaves the pool out.
        middle_filters: makes the convolution a `FactorizedConv3D` with that many
            filters between space and time.
        kernel_initializer: Keras initializer.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time', height', width', filters)`, where a side n becomes
        `(n - 1) // stride + 1`, once for the convolution and once for the pool.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    clips = np.random.rand(2, 16, 112, 112, 3).astype("float32")
    Stem3D(64, kernel_size=7)(clips).shape  # (2, 8, 28, 28, 64)
    ```
    """

    def __init__(
        self,
        filters: int = 64,
        kernel_size: int | Sequence[int] = (3, 7, 7),
        strides: int | Sequence[int] = (1, 2, 2),
        pool_strides: int | Sequence[int] | None = 2,
        middle_filters: int | None = None,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = whole_number("Stem3D", "filters", filters)
        self.kernel_size = three_sizes("Stem3D", "kernel_size", kernel_size)
        self.strides = three_sizes("Stem3D", "strides", strides)
        self.pool_strides = (
            None if pool_strides is None else three_sizes("Stem3D", "pool_strides", pool_strides)
        )
        self.middle_filters = middle_filters
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

        options = {"name": "conv", "causal": self.causal, **self.inherited}
        options["kernel_initializer"] = kernel_initializer
        if middle_filters is None:
            self.conv = ClipConv3D(filters, kernel_size, strides, **options)
        else:
            self.conv = FactorizedConv3D(filters, middle_filters, kernel_size, strides, **options)
        activation = "relu" if self.pool_strides is None else None
        self.bn = self._norm("bn", activation)
        if self.pool_strides is not None:
            self.pool = ClipMaxPooling3D(
                3, self.pool_strides, self.causal, name="pool", **self.inherited
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.conv.build(input_shape)
        self.bn.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    @property
    def rematerialized(self) -> bool:
        # Always: normalization and pooling are cheap, and what they make is the largest there is.
        return True

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        if self.pool_strides is None:
            return run(InTurn([self.conv, self.bn]), (), [clips])
        x = run(InTurn([self.conv]), (), [clips])
        layers = [self.bn, self.pool]
        return ops.relu(run(InTurn(layers), layers, [x]))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        shape = self.conv.compute_output_shape(input_shape)
        return shape if self.pool_strides is None else self.pool.compute_output_shape(shape)
