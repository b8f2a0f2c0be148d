"""Batch normalization of clips, with the ReLU that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.layers.arguments import one_of
from keras_t3d.layers.operations.normalization import normalize_batch, normalize_by


@keras.saving.register_keras_serializable(package="keras_t3d")
class ClipBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization of the channels of clips, with an optional ReLU.

    It computes what `keras.layers.BatchNormalization` does. Under TensorFlow, Keras has no
    fused kernel for 5-D tensors; this layer folds time into the batch and uses the 4-D
    one, several times faster.

    Args:
        activation: None or `"relu"`, applied to the result.
        momentum: share of the old value when a moving average is updated.
            PyTorch's `momentum` is 1 minus this.
        epsilon: added to the variance.
        synchronized: statistics over all devices of a strategy.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether to use the batch's statistics, and to average them.

    Returns:
        Tensor of the same shape.

    Example:

    ```python
    clips = np.random.rand(2, 8, 28, 28, 64).astype("float32")
    ClipBatchNormalization(activation="relu")(clips, training=True)
    ```
    """

    def __init__(
        self,
        activation: str | None = None,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs)
        self.activation = one_of("ClipBatchNormalization", "activation", activation, (None, "relu"))

    def call(self, clips: Any, training: bool | None = None) -> Any:
        if not training:
            return self._normalized_by_averages(clips, *self.tensors())
        y, *statistics = self.compute(clips, *self.tensors())
        if statistics:
            self.average(*statistics)
        return y

    def tensors(self) -> list[Any]:
        """Returns the trainable weights as tensors, for `compute`."""
        # Cast too: under TensorFlow, `convert_to_tensor` leaves a Keras variable one.
        return [
            ops.cast(ops.convert_to_tensor(weight), self.variable_dtype)
            for weight in (self.gamma, self.beta)
        ]

    def compute(self, clips: Any, gamma: Any, beta: Any) -> tuple[Any, ...]:
        """Computes the output of training from given weights; assigns nothing.

        Returns:
            The clips, and the batch's mean and variance if the averages are to follow:
            a frozen layer normalizes by them instead.
        """
        if not self.trainable:
            return (self._normalized_by_averages(clips, gamma, beta),)
        if not self.synchronized:
            return normalize_batch(clips, gamma, beta, self.epsilon, self.activation == "relu")
        exact = ops.cast(clips, "float32")
        mean, variance = self._moments(exact, None)
        y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, self.epsilon)
        y = ops.relu(y) if self.activation == "relu" else y
        return ops.cast(y, clips.dtype), mean, variance

    def _normalized_by_averages(self, clips: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = (
            ops.convert_to_tensor(moving) for moving in (self.moving_mean, self.moving_variance)
        )
        relu = self.activation == "relu"
        return normalize_by(clips, mean, variance, gamma, beta, self.epsilon, relu)

    @property
    def averages(self) -> int:
        """Number of statistics that `compute` returns."""
        return 2 if self.trainable else 0

    def average(self, mean: Any, variance: Any) -> None:
        """Moves the moving averages towards a batch's statistics."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **keras.layers.Layer.get_config(self),
            "activation": self.activation,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
        }
