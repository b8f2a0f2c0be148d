"""Weights that are evaluated and saved instead of the trained ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.optimization.batch_statistics import precise_batch_statistics
from keras_t3d.optimization.optimizers import average_of_weights


class EvaluationWeights(keras.callbacks.Callback):
    """Uses averaged weights and precise batch statistics for validation and saved models.

    Training is not affected: the trained weights, batch statistics and random states are
    restored bit for bit.

    Args:
        batches: returns the clips on which batch norm statistics are recomputed; None keeps
            the moving averages.
    """

    def __init__(self, batches: Callable[[], Iterable[Any]] | None) -> None:
        super().__init__()
        self._batches = batches
        self._trained: list[np.ndarray] | None = None
        self._evaluated: tuple[int, list[np.ndarray]] | None = None  # step and values

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Context in which the network has the weights to save."""
        self.on_test_begin()
        try:
            yield
        finally:
            self.on_test_end()

    def on_test_begin(self, logs: Any = None) -> None:
        averages = average_of_weights(self.model.optimizer)
        if not averages and self._batches is None:
            return
        variables = self.model.checkpointed_variables
        self._trained = [keras.ops.convert_to_numpy(variable) for variable in variables]
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if self._evaluated is None or self._evaluated[0] != step:
            for variable, average in averages:
                variable.assign(average)
            if self._batches is not None:
                precise_batch_statistics(
                    self.model.network, self.model.run_in_training, self._batches()
                )
            values = [keras.ops.convert_to_numpy(variable) for variable in variables]
            self._evaluated = step, values
        for variable, value in zip(variables, self._evaluated[1], strict=True):
            variable.assign(value)

    def on_test_end(self, logs: Any = None) -> None:
        if self._trained is None:
            return
        for variable, value in zip(self.model.checkpointed_variables, self._trained, strict=True):
            variable.assign(value)
        self._trained = None
