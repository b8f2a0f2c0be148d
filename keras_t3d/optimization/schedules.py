"""Learning rate schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.errors import InvalidArgumentError


@keras.saving.register_keras_serializable(package="keras_t3d")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the first rate of another schedule, which follows.

    Step 0 has `1 / (steps + 1)` of that rate, so that no step has rate zero.

    Args:
        steps: number of warm-up steps.
        then: the schedule after warm-up, which starts at its step 0, or a constant rate.

    Raises:
        InvalidArgumentError: if `steps` is below 1.

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
            raise InvalidArgumentError(
                f"`steps` must be at least 1. Received: {steps!r}", argument="steps"
            )
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
    """Returns the learning rate of a plateau schedule.

    After `patience` epochs without a lower loss the rate is multiplied by `factor`, and the
    count starts again. The rate depends on the losses only, so a resumed run continues with it.

    Args:
        losses: validation loss of each epoch so far.
        learning_rate: rate of the first epoch.
        factor: factor of the rate; 0.1 in the papers.
        patience: epochs without a lower loss.
        min_change: relative decrease from which a loss counts as lower.

    Returns:
        The rate of the next epoch.

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
