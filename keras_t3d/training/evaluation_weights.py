"""The weights that are evaluated and saved, where they are not those that are trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.optimization.batch_statistics import precise_batch_statistics
from keras_t3d.optimization.weight_averages import average_of_weights


class EvaluationWeights(keras.callbacks.Callback):
    """Puts averaged weights and precise batch statistics in place, and the trained ones back.

    Training itself stays as it was: its weights, batch statistics and random states come back
    bit by bit.

    Args:
        batches: gives the clips to measure batch statistics on; None leaves the moving
            averages.
    """

    def __init__(self, batches: Callable[[], Iterable[Any]] | None) -> None:
        super().__init__()
        self._batches = batches
        self._trained: list[np.ndarray] | None = None
        self._evaluated: tuple[int, list[np.ndarray]] | None = None  # of which step

    def on_test_begin(self, logs: Any = None) -> None:
        self._enter()

    def on_test_end(self, logs: Any = None) -> None:
        self._leave()

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the network has the weights to be saved."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
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

    def _leave(self) -> None:
        if self._trained is None:
            return
        for variable, value in zip(self.model.checkpointed_variables, self._trained, strict=True):
            variable.assign(value)
        self._trained = None
