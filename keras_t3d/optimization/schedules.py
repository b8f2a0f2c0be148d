"""Learning rates over the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_t3d")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the first rate of another schedule, then follows it.

    Step 0 has rate `1 / (steps + 1)` of the first: no step is lost to a rate of zero.

    Args:
        steps: int. Steps of the rise.
        then: a `LearningRateSchedule`, which begins at its step 0 when the rise ends,
            or a float.

    Example:

    ```python
    rate = WarmUp(100, keras.optimizers.schedules.CosineDecay(0.1, decay_steps=900))
    ```

    Reference:
        Goyal et al., "Accurate, Large Minibatch SGD", 2017 (arXiv 1706.02677).
    """

    def __init__(
        self, steps: int, then: float | keras.optimizers.schedules.LearningRateSchedule
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"WarmUp: `steps` must be at least 1. Received: steps={steps!r}")
        self.steps = steps
        self.then = then

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        first, later = (
            self._rate(ops.zeros_like(step)),
            self._rate(ops.maximum(step - self.steps, 0)),
        )
        return ops.where(step < self.steps, first * (step + 1) / (self.steps + 1), later)

    def _rate(self, step: Any) -> Any:
        return self.then(step) if callable(self.then) else ops.cast(self.then, "float32")

    def get_config(self) -> dict[str, Any]:
        then = keras.saving.serialize_keras_object(self.then) if callable(self.then) else self.then
        return {"steps": self.steps, "then": then}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        then = config["then"]
        if isinstance(then, dict):
            then = keras.saving.deserialize_keras_object(then)
        return cls(config["steps"], then)


def plateau_rate(
    losses: Sequence[float],
    learning_rate: float,
    *,
    factor: float = 0.1,
    patience: int = 10,
    min_change: float = 1e-4,
) -> float:
    """Returns the learning rate after epochs whose losses may have stalled.

    A pure function of what happened, so that a resumed run goes on as if it had not
    stopped: each time the loss has not fallen for `patience` epochs the rate is
    multiplied by `factor`, and the count begins again.

    Args:
        losses: floats. The validation loss after each epoch so far.
        learning_rate: float. The rate of the first epoch.
        factor: float. Defaults to `0.1`, the papers'.
        patience: int. Epochs without a lower loss. Defaults to `10`.
        min_change: float. A loss counts as lower if it is by this share.
            Defaults to `1e-4`.

    Returns:
        float.

    Example:

    ```python
    plateau_rate([2.0, 1.5, 1.5, 1.5], 0.1, patience=2)  # 0.01
    ```
    """
    best, since = float("inf"), 0
    for loss in losses:
        if loss < best * (1 - min_change):
            best, since = loss, 0
            continue
        since += 1
        if since == patience:
            learning_rate, since = learning_rate * factor, 0
    return learning_rate
