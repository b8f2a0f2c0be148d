"""The moving average of the weights that an optimizer keeps (`use_ema`)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def average_of_weights(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
    """Returns the averaged values of the trained weights.

    Args:
        optimizer: a built Keras optimizer.

    Returns:
        Dict of arrays by the path of the weight; empty without `use_ema`, and before the
        first step.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema or int(keras.ops.convert_to_numpy(inner.iterations)) == 0:
        return {}
    pairs = zip(inner._trainable_variables, inner._model_variables_moving_average, strict=True)
    return {
        variable.path: keras.ops.convert_to_numpy(average)
        for variable, average in pairs
        if average is not None
    }


def read_variables(variables: list[Any]) -> dict[str, np.ndarray]:
    """Returns the values of Keras variables by their paths."""
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in variables}


def assign_variables(variables: list[Any], values: dict[str, np.ndarray]) -> None:
    """Assigns those values whose paths the variables have."""
    for variable in variables:
        if variable.path in values:
            variable.assign(values[variable.path])
