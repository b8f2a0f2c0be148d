"""The training step on JAX, which computes gradients over all devices."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import jax
import keras


class JAXStep(keras.Model):
    """Keras's training step with gradient accumulation."""

    accumulation: int
    network: Any
    _statistics_function: Any = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Context in which variables are made."""
        return contextlib.nullcontext()

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """Trains one step on a batch, which JAX shards over the devices."""
        if self.accumulation == 1:
            return super().train_step(state, data)
        trainable, fixed, optimizer_variables, metrics_variables = state
        clips, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        differentiate = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        parts = jax.tree.map(
            functools.partial(_stacked, self.accumulation), (clips, labels, weights)
        )

        def step(carried: Any, part: Any) -> Any:
            fixed, metrics_variables, total = carried
            (_, (loss, output, fixed, metrics_variables)), gradients = differentiate(
                trainable,
                fixed,
                metrics_variables,
                *part,
                training=True,
                optimizer_variables=optimizer_variables,
            )
            total = jax.tree.map(lambda a, b: a + b / self.accumulation, total, gradients)
            return (fixed, metrics_variables, total), (loss, output)

        # Sequential, so that memory is that of one part.
        zeros = jax.tree.map(jax.numpy.zeros_like, trainable)
        (fixed, metrics_variables, gradients), (losses, outputs) = jax.lax.scan(
            step, (fixed, metrics_variables, zeros), parts
        )
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        outputs = jax.tree.map(_unstacked, outputs)
        logs, metrics_variables = self._update_metrics_variables(
            metrics_variables, losses.mean(), clips, labels, outputs, weights
        )
        return logs, (trainable, fixed, optimizer_variables, metrics_variables)

    def over_devices(self, values: Sequence[Any]) -> tuple[list[Any], Any]:
        """Returns the values unchanged, and 0: on JAX they are of the whole batch."""
        return list(values), 0

    def run_in_training(self, clips: Any) -> None:
        """Runs the network in training mode, to update batch norm statistics only."""
        if self._statistics_function is None:
            self._statistics_function = jax.jit(
                functools.partial(self.network.stateless_call, training=True)
            )
        trainable, fixed = self.network.trainable_variables, self.network.non_trainable_variables
        _, moved = self._statistics_function(
            [variable.value for variable in trainable],
            [variable.value for variable in fixed],
            clips,
        )
        for variable, value in zip(fixed, moved, strict=True):
            variable.assign(value)


def _stacked(count: int, batch: Any) -> Any:
    """Reshapes to (count, part, ...); each part has clips of all devices."""
    return batch.reshape(-1, count, *batch.shape[1:]).swapaxes(0, 1)


def _unstacked(parts: Any) -> Any:
    return parts.swapaxes(0, 1).reshape(-1, *parts.shape[2:])
