"""The 3D convolution of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import (
    check_whole_steps,
    one_of,
    strided_sides,
    three_sizes,
    whole_number,
)
from keras_t3d.layers.operations.convolution import convolve
from keras_t3d.layers.operations.padding import Padding
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
        causal: whether to pad time with zeros before the clip only, so that output k reads
            frames up to (k + 1) * stride - 1 and none after them. The frames of a clip must be a
            multiple of the stride.
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
        causal: bool = False,
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
        self.causal = causal
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

    @property
    def pads(self) -> Padding:
        """How clips are padded."""
        return Padding(self.padding, "causal" if self.causal else "even")

    def compute(self, clips: Any, kernel: Any, bias: Any = None) -> tuple[Any]:
        return (self.convolve(clips, self.pads, kernel, bias),)

    def convolve(self, clips: Any, padding: Padding, kernel: Any, bias: Any = None) -> Any:
        """Computes the output for clips that are padded in another way, as those of a stream."""
        y = convolve(clips, kernel, self.strides, padding)
        return y if bias is None else y + bias

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
        check_whole_steps("ClipConv3D", self.causal, sides[0], self.strides[0])
        return (batch, *strided_sides(sides, self.strides), self.filters)


def _fresh(initializer: Any) -> Any:
    """Returns a copy: an initializer without a seed returns the same values in each call."""
    described = keras.initializers.serialize(keras.initializers.get(initializer))
    return keras.initializers.deserialize(described)
