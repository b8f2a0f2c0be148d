"""Devices and machines of a run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError, KerasT3DError


class LostMachineError(KerasT3DError, ConnectionError):
    """Another machine of the run is gone."""


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of all machines, and this machine's index among them.

    Attributes:
        names: names of this machine's devices.
        strategy: `tf.distribute.Strategy`; None on other backends.
        worker: index of this machine, and number of machines.
        count: number of devices of all machines.
    """

    names: tuple[str, ...]
    strategy: Any
    worker: tuple[int, int]
    count: int

    @property
    def is_chief(self) -> bool:
        """Whether this machine writes the run's files."""
        return self.worker[0] == 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Context in which to make network and optimizer."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()


def find_devices() -> Devices:
    """Returns all visible GPUs, or the CPU, of all machines in TF_CONFIG.

    Call it before TensorFlow runs anything: machines cannot connect later.

    Raises:
        InvalidArgumentError: if TF_CONFIG is malformed, or the backend cannot use it.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_devices()
    if os.environ.get("TF_CONFIG"):
        raise InvalidArgumentError(
            "Training on several machines (TF_CONFIG) needs the TensorFlow backend, as in "
            f"KERAS_BACKEND=tensorflow. Received: {backend}"
        )
    if backend != "jax":
        return Devices((backend,), None, (0, 1), 1)
    names = tuple(keras.distribution.list_devices())
    parallel = keras.distribution.DataParallel(devices=list(names)) if len(names) > 1 else None
    keras.distribution.set_distribution(parallel)
    return Devices(names, None, (0, 1), len(names))


def _tensorflow_devices() -> Devices:
    import tensorflow as tf

    machines = _machines()
    if machines > 1:
        strategy: Any = tf.distribute.MultiWorkerMirroredStrategy()
        worker = (strategy.cluster_resolver.task_id, machines)
        names = strategy.extended.worker_devices
        return Devices(tuple(names), strategy, worker, strategy.num_replicas_in_sync)
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = tuple(device.name for device in found)
    strategy = tf.distribute.MirroredStrategy(list(names))
    return Devices(names, strategy, (0, 1), len(names))


def _machines() -> int:
    """Returns the number of workers in TF_CONFIG, 1 without it."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 1
    example = (
        '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        fits = set(config["cluster"]) == {"worker"} and task["type"] == "worker"
        fits = fits and 0 <= int(task["index"]) < len(workers)
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise InvalidArgumentError(
            "TF_CONFIG must name the workers, the same on every machine, and this machine's index "
            f"among them, for example {example}. Received: {text}"
        )
    return len(workers)


def check_batch_size(batch_size: int, accumulation: int, devices: Devices) -> None:
    """Checks that devices and accumulation steps share a batch equally."""
    parts = devices.count * accumulation
    if batch_size % parts:
        steps = f" times {accumulation} accumulation steps" if accumulation > 1 else ""
        raise InvalidArgumentError(
            f"`data.batch_size` must be a multiple of {devices.count} devices{steps}, for "
            f"example {-(-batch_size // parts) * parts}. Received: {batch_size}",
            argument="data.batch_size",
        )


def check_same_step(step: int, devices: Devices) -> None:
    """Checks that all machines resume from the same step; each of them must call it.

    Raises:
        InvalidArgumentError: on every machine, if their run directories differ.
    """
    if devices.worker[1] == 1:
        return
    steps = _gather(step, devices)
    if len(set(steps)) > 1:
        raise InvalidArgumentError(
            "`run_dir` must be one folder that all machines share, for example on a network disk: "
            "they found different checkpoints, or an old copy of the folder. "
            f"Received: steps {steps} on the devices of {devices.worker[1]} machines",
            argument="run_dir",
        )


@contextlib.contextmanager
def chief_first(devices: Devices) -> Iterator[None]:
    """Runs the block on the first machine, then on the others, which find its files."""
    if not devices.is_chief:
        _gather(0, devices)
    yield
    if devices.is_chief and devices.worker[1] > 1:
        _gather(0, devices)


def _gather(number: int, devices: Devices) -> list[int]:
    """Returns the number of each device; waits until all machines have called it."""
    import tensorflow as tf

    mine = devices.strategy.run(lambda: tf.constant([number], tf.int64))
    return devices.strategy.gather(mine, axis=0).numpy().tolist()


@contextlib.contextmanager
def explain_lost_machine(devices: Devices) -> Iterator[None]:
    """Replaces TensorFlow's error about a lost machine by one that explains how to resume.

    Raises:
        LostMachineError: if the connection to another machine is lost.
    """
    if devices.worker[1] == 1:
        yield
        return
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        text = str(error)
        signs = ("unhealthy", "socket closed", "connection reset", "connection refused")
        if not any(sign in text.lower() for sign in signs):
            raise
        raise LostMachineError(
            f"Lost another of the {devices.worker[1]} machines of this run. Re-run the command on "
            "all machines to resume from the last checkpoint. TensorFlow's message: "
            f"{' '.join(text.split())[:400]}"
        ) from None
