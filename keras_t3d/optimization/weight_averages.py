"""The moving average of the weights that an optimizer keeps (`use_ema`)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def average_of_weights(optimizer: keras.optimizers.Optimizer) -> list[tuple[Any, np.ndarray]]:
    """Returns the trained weights, each with its average.

    Args:
        optimizer: a built Keras optimizer.

    Returns:
        Pairs of variable and array; none without `use_ema`, and before the first step.

    Example:

    ```python
    for variable, average in average_of_weights(learner.optimizer):
        variable.assign(average)
    ```
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema or int(keras.ops.convert_to_numpy(inner.iterations)) == 0:
        return []
    pairs = zip(inner._trainable_variables, inner._model_variables_moving_average, strict=True)
    return [
        (variable, keras.ops.convert_to_numpy(average))
        for variable, average in pairs
        if average is not None
    ]
