"""A convolution, its batch normalization and its activation, as mobile networks use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_t3d.layers.batch_normalization import ClipBatchNormalization
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.convolution import ClipConv3D
from keras_t3d.layers.rematerialization import InTurn


@keras.saving.register_keras_serializable(package="keras_t3d")
class NormalizedConv3D(CompositeLayer):
    """A 3D convolution, batch normalization and an activation, with EfficientNet's settings.

    ```
    clip - Conv - BN - activation ->
    ```

    Frames are padded as Keras's `"same"` pads; the epsilon of the batch normalization is 0.001.

    Args:
        filters: output channels.
        kernel_size: one integer or (time, height, width).
        strides: one integer or (time, height, width).
        groups: groups of channels that are convolved separately.
        activation: `"relu6"`, `"relu"` or None.
        kernel_initializer: Keras initializer.
        **kwargs: `causal`, as for `ClipConv3D`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether batch normalization uses the batch's statistics.

    Returns:
        Tensor of shape `(batch, time', height', width', filters)`, where a side n becomes
        `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    clips = np.random.rand(2, 8, 64, 64, 3).astype("float32")
    NormalizedConv3D(32, (1, 3, 3), strides=(1, 2, 2))(clips).shape  # (2, 8, 32, 32, 32)
    ```

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019, https://arxiv.org/abs/1905.11946
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        groups: int = 1,
        activation: str | None = "relu6",
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conv = ClipConv3D(
            filters,
            kernel_size,
            strides,
            groups,
            kernel_initializer=kernel_initializer,
            padding="same_frames",
            causal=self.causal,
            name="conv",
            **self.inherited,
        )
        self.bn = ClipBatchNormalization(activation, epsilon=1e-3, name="bn", **self.inherited)
        self.filters, self.kernel_size = self.conv.filters, self.conv.kernel_size
        self.strides, self.groups = self.conv.strides, self.conv.groups
        self.activation = activation
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.conv.build(input_shape)
        self.bn.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def in_turn(self) -> list[Any]:
        """Returns the layers inside, for a part of another layer."""
        return [self.conv, self.bn]

    def compose(self, run: Callable[..., Any], clips: Any) -> Any:
        return run(InTurn(self.in_turn()), (), [clips])

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return self.conv.compute_output_shape(input_shape)
