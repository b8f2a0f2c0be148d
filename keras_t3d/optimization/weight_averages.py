"""The moving average of the weights (`use_ema` of Keras optimizers)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_t3d.private_interfaces import averaged_weights


def average_of_weights(optimizer: keras.optimizers.Optimizer) -> list[tuple[Any, np.ndarray]]:
    """Returns the trained weights, each with its moving average.

    Args:
        optimizer: a Keras optimizer, built.

    Returns:
        Pairs of variable and array; empty without `use_ema`, or before the first step.

    Example:

    ```python
    for variable, average in average_of_weights(learner.optimizer):
        variable.assign(average)
    ```
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema or int(keras.ops.convert_to_numpy(inner.iterations)) == 0:
        return []
    return [
        (variable, keras.ops.convert_to_numpy(average))
        for variable, average in averaged_weights(inner)
        if average is not None
    ]
