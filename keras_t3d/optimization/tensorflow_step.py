"""The training step on TensorFlow, under any distribution strategy."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_t3d.optimization.batch_statistics import batch_norms
from keras_t3d.private_interfaces import batch_spec


class TensorFlowStep(keras.Model):
    """Keras's training step with accumulation; gradients are summed over devices first."""

    accumulation: int
    network: Any
    _statistics_function: Any = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Context in which variables are made."""
        return self.distribute_strategy.scope()

    def compile(self, optimizer: keras.optimizers.Optimizer, *args: Any, **kwargs: Any) -> None:
        """Compiles as Keras does, without XLA; this class reduces the gradients."""
        kwargs.setdefault("jit_compile", False)  # slower on a CPU, and off under tf.distribute
        super().compile(optimizer, *args, **kwargs)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if hasattr(inner, "gradients_are_reduced"):
            inner.gradients_are_reduced = True

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Trains one step on one device's part of a batch."""
        clips, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables
        split = [_parts(value, self.accumulation) for value in (clips, labels, weights)]
        gradients: list[Any] = []
        outputs, losses = [], []
        for part, y, weight in zip(*split, strict=True):
            # Sequential: parts that run at the same time would need the memory of all.
            with tf.control_dependencies([g for g in gradients if g is not None]):
                x = tf.nest.map_structure(tf.identity, part)
            with tf.GradientTape() as tape:
                output = self(x, training=True)
                loss = self._compute_loss(
                    x=x, y=y, y_pred=output, sample_weight=weight, training=True
                )
                scaled = self.optimizer.scale_loss(loss / self.accumulation)
            gradients = _sum(gradients, tape.gradient(scaled, variables))
            outputs.append(output)
            losses.append(loss)
        self._apply(gradients, variables)
        self._track(losses, clips)
        return self._results(clips, labels, _whole(outputs), weights)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluates as Keras does, with metrics that several machines can reduce."""
        clips, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        output = self(clips, training=False)
        loss = self._compute_loss(
            x=clips, y=labels, y_pred=output, sample_weight=weights, training=False
        )
        self._track([loss], clips)
        return self._results(clips, labels, output, weights)

    def over_devices(self, values: Sequence[Any]) -> tuple[list[Any], Any]:
        """Returns the values of all devices, concatenated, and the offset of this device's.

        For use in `call`. Gradients do not flow through the values.
        """
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return list(values), 0
        joined = [context.all_gather(tf.stop_gradient(value), axis=0) for value in values]
        # The last batch may be uneven.
        sizes = context.all_gather(tf.shape(values[0])[:1], axis=0)
        return joined, tf.reduce_sum(sizes[: context.replica_id_in_sync_group])

    def run_in_training(self, clips: Any) -> None:
        """Runs the network in training mode, to update batch norm statistics only."""
        if self._statistics_function is None:
            self._statistics_function = tf.function(self._run_in_training)
        self._statistics_function(clips)

    def _run_in_training(self, clips: Any) -> None:
        """Computes statistics over all devices, even if training does not synchronize them."""
        layers = batch_norms(self.network)
        before = [layer.synchronized for layer in layers]
        try:
            for layer in layers:
                layer.synchronized = True
            self.distribute_strategy.run(
                lambda part: self.network(part, training=True), args=(clips,)
            )
        finally:
            for layer, synchronized in zip(layers, before, strict=True):
                layer.synchronized = synchronized

    def _apply(self, gradients: list[Any], variables: list[Any]) -> None:
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if hasattr(inner, "gradients_are_reduced"):
            known = [gradient for gradient in gradients if gradient is not None]
            context = tf.distribute.get_replica_context()
            reduced = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
            gradients = [None if gradient is None else next(reduced) for gradient in gradients]
        self.optimizer.apply(gradients, variables)

    def _track(self, losses: list[Any], clips: Any) -> None:
        replicas = self.distribute_strategy.num_replicas_in_sync
        # Keras scales the loss for the sum over devices; the tracker needs the mean.
        mean = tf.add_n(losses) / len(losses) * replicas
        count = tf.shape(tf.nest.flatten(clips)[0])[0]
        self._loss_tracker.update_state(mean, sample_weight=count)

    def _results(self, clips: Any, labels: Any, outputs: Any, weights: Any) -> dict[str, tf.Tensor]:
        results = self.compute_metrics(clips, labels, outputs, weights)
        if not isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return results
        # Keras reduces over axis 0, which a scalar does not have.
        return {name: value[None] for name, value in results.items()}

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Builds without reading a batch, which may fill a shuffle buffer, if its form is known.

        Else with the batch of one device: Keras fails to reduce it on several machines.
        """
        if self._compile_metrics is None or self._compile_metrics.built:
            return
        first = None if iterator is None else batch_spec(iterator)
        if first is None:
            if iterator is not None:
                _, _, batches = next(iter(iterator))
                data_batch = next(batches)
            first = tf.nest.map_structure(
                lambda value: self.distribute_strategy.experimental_local_results(value)[0],
                data_batch,
            )
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=first)


def _parts(batch: Any, count: int) -> list[Any]:
    """Splits a batch into parts of every `count`-th clip, the same on any number of devices."""
    if batch is None or count == 1:
        return [batch] * count

    def part(number: int) -> Any:
        return tf.nest.map_structure(lambda value: value[number::count], batch)

    return [part(number) for number in range(count)]


def _whole(parts: list[Any]) -> Any:
    """Interleaves the outputs of the parts in the order of the batch."""

    def interleaved(*values: tf.Tensor) -> tf.Tensor:
        # With several machines, sizes are known only at run time.
        whole = tf.concat([[-1], tf.shape(values[0])[1:]], 0)
        joined = tf.reshape(tf.stack(values, 1), whole)
        joined.set_shape([None, *values[0].shape[1:]])
        return joined

    return parts[0] if len(parts) == 1 else tf.nest.map_structure(interleaved, *parts)


def _sum(total: list[Any], more: list[Any]) -> list[Any]:
    if not total:
        return list(more)
    return [a if b is None else b if a is None else a + b for a, b in zip(total, more, strict=True)]
