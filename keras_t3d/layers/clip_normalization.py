"""The first layer of every network: normalizes pixel values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.clips import IMAGENET_MEAN, IMAGENET_STD
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.configuration import ConfiguredLayer


@keras.saving.register_keras_serializable(package="keras_t3d")
class ClipNormalization(ConfiguredLayer):
    """Maps pixel values 0..255 to `(pixel / 255 - mean) / std`, channel by channel.

    As a part of the model, it fixes the scale of the pixels that the model reads.

    Args:
        mean: mean of R, G and B, in 0..1 units.
        std: standard deviation of R, G and B, in 0..1 units.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(..., 3)`, uint8 or float, values 0..255.

    Returns:
        Tensor of the same shape in the layer's compute dtype.

    Example:

    ```python
    clip = np.full((1, 16, 112, 112, 3), 255, "uint8")
    ClipNormalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))(clip)  # all 1.0
    ```
    """

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        **kwargs: Any,
    ) -> None:
        # Autocast would round float clips to half precision before the subtraction.
        super().__init__(autocast=False, **kwargs)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != 3 or (name == "std" and min(values) <= 0):
                raise InvalidArgumentError(
                    f"ClipNormalization: `{name}` must be three numbers (R, G, B) in 0..1 units"
                    f"{', above 0' if name == 'std' else ''}, for example "
                    f"{name}={IMAGENET_MEAN if name == 'mean' else IMAGENET_STD}. "
                    f"Received: {values!r}",
                    argument=name,
                )
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.built = True

    def call(self, clips: Any) -> Any:
        scale = [1.0 / (255.0 * std) for std in self.std]
        offset = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        pixels = ops.cast(clips, "float32")
        normalized = pixels * ops.array(scale, "float32") + ops.array(offset, "float32")
        return ops.cast(normalized, self.compute_dtype)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)
