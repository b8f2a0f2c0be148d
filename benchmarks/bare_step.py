"""Times the compiled training step alone, on one batch in memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.optimization.learner import Learner
from keras_t3d.training.clips import training_clips, training_reader
from keras_t3d.training.config import TrainConfig
from keras_t3d.training.devices import Devices
from keras_t3d.training.network import new_network
from keras_t3d.training.objective import new_loss, new_optimizer


def bare_step(config: TrainConfig, shards: ShardSet, devices: Devices) -> Callable[[int], float]:
    """Compiles the step that `train` runs, without metrics, callbacks, and input.

    Args:
        config: configuration of the run.
        shards: the first training batch of these is kept in memory.
        devices: devices to train on.

    Returns:
        A function that runs a number of steps and returns the seconds they took. Its first call
        compiles.

    Raises:
        ValueError: if the shards do not fit the configuration, or the backend is neither
            TensorFlow nor JAX.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            "The bare step is timed with KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax. "
            f"Received: {backend}"
        )
    with devices.scope():
        network = new_network(config, shards.class_names)
        learner = Learner(network, config.optimizer.accumulation)
        learner.compile(
            optimizer=new_optimizer(
                config, network, training_reader(config, shards).steps_per_epoch
            ),
            loss=new_loss(config, shards),
        )
    batch = next(iter(training_clips(config, shards, devices)))
    return repeated_step(learner, tuple(np.asarray(value) for value in batch), devices)


def repeated_step(learner: Learner, batch: Any, devices: Devices) -> Callable[[int], float]:
    """Compiles a learner's training step for one batch in memory.

    Args:
        learner: compiled learner.
        batch: tuple or dict of arrays, as a dataset yields them for `fit`.
        devices: devices to train on.

    Returns:
        A function that runs a number of steps and returns the seconds they took. Its first call
        compiles.
    """
    learner.make_train_function()
    run = _on_jax if keras.backend.backend() == "jax" else _on_tensorflow
    step = run(learner, batch, devices)

    def seconds(steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            loss = step()
        float(keras.ops.convert_to_numpy(loss))  # the device is done, too
        return time.perf_counter() - started

    return seconds


def _on_tensorflow(learner: Learner, batch: Any, devices: Devices) -> Callable[[], Any]:
    import tensorflow as tf

    size = len(keras.tree.flatten(batch)[0])
    clips = tf.data.Dataset.from_tensor_slices(batch).batch(size, drop_remainder=True)
    spread = devices.strategy.experimental_distribute_dataset(clips)
    batches = itertools.repeat(next(iter(spread)))
    return lambda: learner.train_function(batches)["loss"]


def _on_jax(learner: Learner, batch: Any, devices: Devices) -> Callable[[], Any]:
    placed = keras.tree.map_structure(_on_devices, batch)
    batches = itertools.repeat(placed if isinstance(placed, tuple) else (placed,))
    state: Any = tuple(
        [variable.value for variable in group]
        for group in (
            learner.trainable_variables,
            learner.non_trainable_variables,
            learner.optimizer.variables,
            learner.metrics_variables,
        )
    )

    def step() -> Any:
        nonlocal state
        logs, state = learner.train_function(state, batches)
        return logs["loss"]

    return step


def _on_devices(value: Any) -> Any:
    distribution = keras.distribution.distribution()
    if distribution is None:
        return keras.ops.convert_to_tensor(value)
    layout = distribution.get_data_layout(value.shape)
    return keras.distribution.distribute_tensor(value, layout)
