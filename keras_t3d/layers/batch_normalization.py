"""Batch normalization of clips, with the activation that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers.arguments import one_of
from keras_t3d.layers.operations.known_sizes import with_built_sizes
from keras_t3d.layers.operations.normalization import (
    ACTIVATIONS,
    normalize_batch,
    normalize_by,
)


@keras.saving.register_keras_serializable(package="keras_t3d")
class ClipBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization of the channels of clips, with an optional activation.

    It computes what `keras.layers.BatchNormalization` does. Under TensorFlow, Keras has no
    fused kernel for 5-D tensors; this layer folds time into the batch and uses the 4-D
    one, several times faster.

    As for any Keras layer, `trainable = False` freezes it: it then normalizes by its moving
    averages, in training too.

    Args:
        activation: None, `"relu"` or `"relu6"`, applied to the result.
        momentum: share of the old value when a moving average is updated.
            PyTorch's `momentum` is 1 minus this.
        epsilon: added to the variance.
        synchronized: statistics over all devices of a strategy.
        **kwargs: `center`, `scale`, initializers, regularizers and constraints, as for
            `keras.layers.BatchNormalization`; `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        clips: tensor of shape `(batch, time, height, width, channels)`.
        training: bool. Whether to use the batch's statistics, and to average them.

    Returns:
        Tensor of the same shape.

    Raises:
        InvalidArgumentError: if `activation` is another one, or for `axis` other than -1 and
            `renorm`, which this layer does not compute.

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
        for name, only in (("axis", -1), ("renorm", False)):
            if kwargs.get(name, only) != only:
                raise InvalidArgumentError(
                    f"ClipBatchNormalization: `{name}` must be {only}; "
                    f"keras.layers.BatchNormalization has others. Received: {kwargs[name]!r}",
                    argument=name,
                )
        super().__init__(momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs)
        self.activation = one_of(
            "ClipBatchNormalization", "activation", activation, tuple(ACTIVATIONS)
        )

    def call(self, clips: Any, training: bool | None = None) -> Any:
        clips = with_built_sizes(self, clips)
        if not training:
            return self._normalized_by_averages(clips, *self.tensors())
        y, *statistics = self.compute(clips, *self.tensors())
        if statistics:
            self.average(*statistics)
        return y

    def tensors(self) -> list[Any]:
        """Returns scale and offset as tensors, for `compute`."""
        shape = self.moving_mean.shape
        return [
            ops.ones(shape, self._exact_dtype) if self.gamma is None else self._exact(self.gamma),
            ops.zeros(shape, self._exact_dtype) if self.beta is None else self._exact(self.beta),
        ]

    @property
    def _exact_dtype(self) -> str:
        """Statistics, scale and offset are in float32 at least, whatever the clips are in."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def _exact(self, weight: Any) -> Any:
        # Cast too: under TensorFlow, `convert_to_tensor` leaves a Keras variable one.
        return ops.cast(ops.convert_to_tensor(weight), self._exact_dtype)

    def compute(self, clips: Any, gamma: Any, beta: Any) -> tuple[Any, ...]:
        """Computes the output of training from given weights; assigns nothing.

        Returns:
            The clips, and the batch's mean and variance if the averages are to follow:
            a frozen layer normalizes by them instead.
        """
        if not self.trainable:
            return (self._normalized_by_averages(clips, gamma, beta),)
        if not self.synchronized:
            return normalize_batch(clips, gamma, beta, self.epsilon, self.activation)
        exact = ops.cast(clips, "float32")
        mean, variance = self._moments(exact, None)
        y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, self.epsilon)
        return ops.cast(ACTIVATIONS[self.activation](y), clips.dtype), mean, variance

    def _normalized_by_averages(self, clips: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = self._exact(self.moving_mean), self._exact(self.moving_variance)
        return normalize_by(clips, mean, variance, gamma, beta, self.epsilon, self.activation)

    @property
    def averages(self) -> int:
        """Number of statistics that `compute` returns."""
        return 2 if self.trainable else 0

    def average(self, mean: Any, variance: Any) -> None:
        """Moves the moving averages towards a batch's statistics."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = self._exact(moving)
            moving.assign(old * self.momentum + batch * (1.0 - self.momentum))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "activation": self.activation}
        # Older versions of Keras do not know these, and here they have one value only.
        return {name: value for name, value in config.items() if not name.startswith("renorm")}
