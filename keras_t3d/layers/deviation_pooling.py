"""Pooling of a clip that keeps how much its frames differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.configuration import ConfiguredLayer


@keras.saving.register_keras_serializable(package="keras_t3d")
class GlobalDeviationPooling3D(ConfiguredLayer):
    """Averages each channel over the clip, and adds its mean absolute deviation over time.

    ```
           +- mean over T, H, W ------------------------- C -+
    clip --+                                                 concat: 2C
           +- mean over H, W - |frame - mean over T| ---- C -+
                               mean over T
    ```

    The deviation is zero for a still clip, and grows with what changes. Unlike a standard
    deviation it needs no square, which 8 bits represent badly.

    Args:
        causal: whether the deviation of a frame is the one from the mean of the frames up to it,
            as a stream knows it, instead of the mean of all.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.

    Returns:
        Tensor of shape `(batch, 2 * channels)`.

    Raises:
        InvalidArgumentError: if the input has another rank.

    Example:

    ```python
    features = np.random.rand(2, 8, 7, 7, 64).astype("float32")
    GlobalDeviationPooling3D()(features).shape  # (2, 128)
    ```
    """

    def __init__(self, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.causal = causal

    def call(self, clips: Any) -> Any:
        frames = ops.mean(clips, axis=(2, 3))  # (batch, time, channels)
        mean = self.means(frames)
        deviation = ops.mean(ops.abs(frames - mean), axis=1)
        return ops.concatenate([mean[:, -1], deviation], axis=-1)

    def means(self, frames: Any) -> Any:
        """Returns the mean that each frame's deviation is from, (batch, time or 1, channels)."""
        return means_so_far(frames) if self.causal else ops.mean(frames, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        if len(input_shape) != 5 or input_shape[-1] is None:
            raise InvalidArgumentError(
                "GlobalDeviationPooling3D reads tensors of shape (batch, time, height, width, "
                f"channels). Received: {tuple(input_shape)}",
                argument="clips",
            )
        return (input_shape[0], 2 * input_shape[-1])


def means_so_far(frames: Any) -> Any:
    """Returns the mean of the frames up to each, of the shape `(batch, time, channels)`."""
    return ops.cumsum(frames, axis=1) / ops.cumsum(ops.ones_like(frames), axis=1)
