"""The max pool of the stems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import check_whole_steps, strided_sides, three_sizes
from keras_t3d.layers.operations.pooling import pool_maximum
from keras_t3d.layers.rematerialization import RecomputedLayer


@keras.saving.register_keras_serializable(package="keras_t3d")
class ClipMaxPooling3D(RecomputedLayer):
    """3D max pool that pads evenly, with strides too, as PyTorch pads.

    Keras's `"same"` shifts strided pools.

    Args:
        pool_size: one integer or (time, height, width), odd.
        strides: one integer or (time, height, width).
        causal: as for `ClipConv3D`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.

    Returns:
        Tensor of shape `(batch, time', height', width', channels)`, where a side n
        becomes `(n - 1) // stride + 1`.

    Raises:
        InvalidArgumentError: if an argument is out of its range.

    Example:

    ```python
    clips = np.random.rand(2, 16, 56, 56, 64).astype("float32")
    ClipMaxPooling3D(3, strides=(1, 2, 2))(clips).shape  # (2, 16, 28, 28, 64)
    ```
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 3,
        strides: int | Sequence[int] = 2,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = three_sizes("ClipMaxPooling3D", "pool_size", pool_size)
        self.strides = three_sizes("ClipMaxPooling3D", "strides", strides)
        if not all(size % 2 for size in self.pool_size):
            raise InvalidArgumentError(
                "ClipMaxPooling3D: `pool_size` must be odd, to be padded evenly, for example 3. "
                f"Received: {pool_size!r}",
                argument="pool_size",
            )
        self.causal = causal
        self.built = True  # as Keras's own pooling layers: without weights, nothing is to build

    def compute(self, clips: Any) -> tuple[Any]:
        time_padding = "causal" if self.causal else "even"
        return (pool_maximum(clips, self.pool_size, self.strides, time_padding),)

    def pool_frames(self, clips: Any) -> Any:
        """Pools each frame: the first of two parts, of which `pool_time` is the second."""
        return pool_maximum(clips, (1, *self.pool_size[1:]), (1, *self.strides[1:]))

    def pool_time(self, clips: Any, time_padding: str) -> Any:
        """Pools over time, for clips that are padded as `Padding.time` describes."""
        return pool_maximum(clips, (self.pool_size[0], 1, 1), (self.strides[0], 1, 1), time_padding)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        check_whole_steps("ClipMaxPooling3D", self.causal, sides[0], self.strides[0])
        return (batch, *strided_sides(sides, self.strides), channels)
