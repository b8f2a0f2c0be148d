"""The 3D convolution of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, strided_sides, three_sizes, whole_number
from keras_t3d.layers.operations.convolution import convolve
from keras_t3d.layers.rematerialization import RecomputedLayer


@keras.saving.register_keras_serializable(package="keras_t3d")
class ClipConv3D(RecomputedLayer):
    """3D convolution with even padding, fast groups, and no work on the padding in time.

    Differences from `keras.layers.Conv3D`:

    - clips are padded with (k - 1) // 2 zeros before and k // 2 after on each axis, with
      strides too, as PyTorch pads; Keras's `"same"` shifts strided convolutions;
    - `groups` runs on the native kernels of every backend; Keras's grouped convolution
      compiles with XLA under TensorFlow, ten times slower on CPU;
    - taps of a deep kernel that meet no frame of a short clip are not computed.

    Args:
        filters: output channels.
        kernel_size: one integer or (time, height, width).
        strides: one integer or (time, height, width).
        groups: groups of channels that are convolved separately.
        use_bias: whether to add a bias, which is redundant before batch normalization.
        kernel_initializer: Keras initializer.
        padding: `"even"`, or `"same_frames"` to pad height and width as Keras's `"same"` does,
            which differs with strides.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.

    Returns:
        Tensor of shape `(batch, time', height', width', filters)`, where a side n
        becomes `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or the groups do not divide
            the channels.

    Example:

    ```python
    clips = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    ClipConv3D(128, 3, strides=2, groups=32)(clips).shape  # (2, 4, 14, 14, 128)
    ```
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = False,
        kernel_initializer: Any = "he_normal",
        padding: str = "even",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = whole_number("ClipConv3D", "filters", filters)
        self.kernel_size = three_sizes("ClipConv3D", "kernel_size", kernel_size)
        self.strides = three_sizes("ClipConv3D", "strides", strides)
        self.groups = whole_number("ClipConv3D", "groups", groups)
        self.use_bias = use_bias
        self.kernel_initializer = _fresh(kernel_initializer)
        self.padding = one_of("ClipConv3D", "padding", padding, ("even", "same_frames"))
        if filters % groups:
            raise InvalidArgumentError(
                f"ClipConv3D: `groups` must divide `filters`. Received: groups={groups}, "
                f"filters={filters}",
                argument="groups",
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.compute_output_shape(input_shape)  # checks the shape
        channels = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),  # type: ignore[operator]
            initializer=self.kernel_initializer,
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def compute(self, clips: Any, kernel: Any, bias: Any = None) -> tuple[Any]:
        y = convolve(clips, kernel, self.strides, self.padding)
        return (y if bias is None else y + bias,)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        if len(input_shape) != 5 or None in input_shape[1:]:
            raise InvalidArgumentError(
                "ClipConv3D reads tensors of shape (batch, time, height, width, channels), all but "
                f"the batch known. Received: {tuple(input_shape)}",
                argument="clips",
            )
        batch, *sides, channels = input_shape
        if channels % self.groups:  # type: ignore[operator]
            raise InvalidArgumentError(
                f"ClipConv3D: `groups` must divide the channels. Received: groups={self.groups}, "
                f"{channels} channels",
                argument="groups",
            )
        return (batch, *strided_sides(sides, self.strides), self.filters)


def _fresh(initializer: Any) -> Any:
    """Returns a copy: an initializer without a seed returns the same values in each call."""
    described = keras.initializers.serialize(keras.initializers.get(initializer))
    return keras.initializers.deserialize(described)
