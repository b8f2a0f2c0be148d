"""The Spatio-Temporal Channel Correlation (STC) block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of, whole_number
from keras_t3d.layers.deviation_pooling import means_so_far
from keras_t3d.layers.rematerialization import RecomputedLayer

COMBINATIONS = ("average", "sum", "maximum")


@keras.saving.register_keras_serializable(package="keras_t3d")
class SpatioTemporalChannelCorrelation(RecomputedLayer):
    """Scales the channels of a clip by their correlations, over the clip and frame by frame.

    ```
           +- mean over T, H, W:  C  - Dense C/r  - f - Dense C - sigmoid -+
           |   temporal correlation branch (TCB)                           scale -+
    clip --+                                                                      average ->
           |   spatial correlation branch (SCB)                            scale -+
           +- mean over H, W:   T*C  - Dense TC/r - f - Dense C - sigmoid -+
    ```

    Both branches scale the clip itself. The spatial branch sees the channels of every frame,
    so its first weight matrix has (T C)^2 / r entries: at 64 frames an STC-ResNeXt3D-101 has
    208 million parameters, 96 million at 32 and 66 million at 16, and its weights are bound
    to that clip length. `temporal_bins` averages time into a few bins first and lifts both.

    Args:
        reduction: the dense layers between are this many times narrower than what
            they read: r in the picture.
        activation: Keras activation between the two dense layers of a branch: f in the
            picture. The paper does not state it.
        combine: `"average"` as in the paper's text, `"sum"` as its figure draws it, or
            `"maximum"` of the two scaled clips.
        temporal_bins: bins that the spatial branch averages time into; None
            keeps every frame, as in the paper.
        use_bias: biases of the dense layers.
        causal: whether the factors of a frame depend on the frames up to it only: both branches
            then read the mean of these, the spatial one in place of each frame or bin. The
            weights are the same.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`, time known.

    Returns:
        Tensor of the same shape.

    Raises:
        InvalidArgumentError: if an argument is out of its range, or the number of frames is not
            known when the layer is built.

    Example:

    ```python
    features = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    SpatioTemporalChannelCorrelation(reduction=16)(features).shape  # (2, 8, 28, 28, 64)
    ```

    Reference:
        Diba et al., "Spatio-Temporal Channel Correlation Networks for Action
        Classification", 2018, https://arxiv.org/abs/1806.07754
    """

    def __init__(
        self,
        reduction: int = 16,
        activation: Any = "relu",
        combine: str = "average",
        temporal_bins: int | None = None,
        use_bias: bool = False,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer = "SpatioTemporalChannelCorrelation"
        self.reduction = whole_number(layer, "reduction", reduction)
        self.activation = keras.activations.get(activation)
        self.combine = one_of(layer, "combine", combine, COMBINATIONS)
        self.temporal_bins = (
            None if temporal_bins is None else whole_number(layer, "temporal_bins", temporal_bins)
        )
        self.use_bias = use_bias
        self.causal = causal

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.compute_output_shape(input_shape)  # checks the shape
        time, channels = input_shape[1], input_shape[-1]
        self.bins = None if self.temporal_bins is None else _bins(time, self.temporal_bins)
        spatial_width = (self.temporal_bins or time) * channels  # type: ignore[operator]
        self._add_branch("temporal", channels, channels)
        self._add_branch("spatial", spatial_width, channels)
        self.built = True

    def _add_branch(self, name: str, width: Any, channels: Any) -> None:
        narrow = max(width // self.reduction, 1)
        self._add_dense(f"{name}_squeeze", width, narrow, "he_normal")
        self._add_dense(f"{name}_excite", narrow, channels, "glorot_uniform")

    def _add_dense(self, name: str, width: int, units: int, initializer: str) -> None:
        kernel = self.add_weight(
            name=f"{name}_kernel", shape=(width, units), initializer=initializer
        )
        setattr(self, f"{name}_kernel", kernel)
        if self.use_bias:
            bias = self.add_weight(name=f"{name}_bias", shape=(units,), initializer="zeros")
            setattr(self, f"{name}_bias", bias)

    def compute(self, clips: Any, *weights: Any) -> tuple[Any]:
        frames = self.frame_means(clips)
        if self.causal:
            return (self.scale_by_means(clips, means_so_far(frames), *weights),)
        means = ops.mean(frames, axis=1)
        if self.bins is not None:
            frames = ops.einsum("btc,kt->bkc", frames, self.bins)
        flat = ops.reshape(frames, (-1, frames.shape[1] * frames.shape[2]))
        return (self._scale(clips, means, flat, *weights),)

    def frame_means(self, clips: Any) -> Any:
        """Returns the mean of each frame, (batch, time, channels)."""
        # In float32: the sum over a frame overflows half precision.
        return ops.mean(ops.cast(clips, "float32"), axis=(2, 3))

    def scale_by_means(self, clips: Any, means: Any, *weights: Any) -> Any:
        """Scales each frame of a causal layer.

        Args:
            clips: tensor of shape `(batch, time, height, width, channels)`.
            means: mean of the frames up to each, `(batch, time, channels)`.
            *weights: the layer's weights as tensors.
        """
        half, means = len(weights) // 2, ops.reshape(means, (-1, means.shape[-1]))
        kernel, *others = weights[half:]
        # The mean stands in place of each frame or bin.
        kernel = ops.sum(ops.reshape(kernel, (-1, means.shape[-1], kernel.shape[-1])), axis=0)
        return self._scale(clips, means, means, *weights[:half], kernel, *others)

    def _scale(self, clips: Any, temporal: Any, spatial: Any, *weights: Any) -> Any:
        """Scales clips, or frames if causal, by the factors of rows of means."""
        half = len(weights) // 2
        shape = (-1, clips.shape[1] if self.causal else 1, 1, 1, clips.shape[-1])
        temporal = ops.reshape(self._factors(temporal, *weights[:half]), shape)
        spatial = ops.reshape(self._factors(spatial, *weights[half:]), shape)
        if self.combine == "maximum":
            return ops.maximum(clips * temporal, clips * spatial)
        factors = temporal + spatial
        return clips * (factors * 0.5 if self.combine == "average" else factors)

    def _factors(self, means: Any, *weights: Any) -> Any:
        """Returns the factor of each channel, 0..1: the two dense layers of a branch."""
        squeeze, excite = weights[: len(weights) // 2], weights[len(weights) // 2 :]
        hidden = self.activation(_dense(ops.cast(means, self.compute_dtype), *squeeze))
        return ops.sigmoid(_dense(hidden, *excite))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        if len(input_shape) != 5 or input_shape[1] is None or input_shape[-1] is None:
            raise InvalidArgumentError(
                "SpatioTemporalChannelCorrelation reads tensors of shape (batch, time, height, "
                "width, channels) with time and channels known, as its weights depend on both: "
                "give the model a fixed clip length, for example keras.Input((16, 112, 112, 3)). "
                f"Received: {tuple(input_shape)}",
                argument="clips",
            )
        return tuple(input_shape)


def _dense(x: Any, kernel: Any, bias: Any = None) -> Any:
    y = ops.matmul(x, kernel)
    return y if bias is None else y + bias


def _bins(time: Any, count: int) -> np.ndarray:
    """Returns a matrix that averages `time` frames into `count` bins, as adaptive pooling does.

    Bin i has the frames from floor(i T / k) up to ceil((i + 1) T / k): every frame is in a bin,
    and a clip with fewer frames than bins repeats them.
    """
    weights = np.zeros((count, time), np.float32)
    for index in range(count):
        frames = slice(index * time // count, -(-(index + 1) * time // count))
        weights[index, frames] = 1.0 / (frames.stop - frames.start)
    return weights
