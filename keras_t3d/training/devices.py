"""On which devices and machines a run trains."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of all machines, and this machine's place among them.

    Attributes:
        names: str. This machine's devices.
        strategy: `tf.distribute.Strategy`; None on other backends.
        worker: pair of ints (index, count): this machine's number, and how many there are.
        count: int. Devices of all machines.
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
        """In which network and optimizer are to be made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()


def find_devices() -> Devices:
    """Returns all visible GPUs, or the CPU; of all machines where TF_CONFIG names several.

    To be called before TensorFlow runs anything: machines can join only then.

    Raises:
        ValueError: if TF_CONFIG is malformed, or the backend cannot use it.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_devices()
    if os.environ.get("TF_CONFIG"):
        raise ValueError(
            "TF_CONFIG: training on several machines needs the TensorFlow backend, as in "
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
    """How many workers TF_CONFIG names; 1 without it."""
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
        raise ValueError(
            "TF_CONFIG must name the workers, the same on every machine, and this machine's index "
            f"among them, for example {example}. Received: {text}"
        )
    return len(workers)


def check_batch_size(batch_size: int, accumulation: int, devices: Devices) -> None:
    """Refuses a batch that devices and parts do not share equally."""
    parts = devices.count * accumulation
    if batch_size % parts:
        each = f" with {accumulation} parts each" if accumulation > 1 else ""
        raise ValueError(
            f"data.batch_size must be a multiple of the {devices.count} devices{each}, for "
            f"example {-(-batch_size // parts) * parts}. Received: {batch_size}"
        )


def check_same_step(step: int, devices: Devices) -> None:
    """Refuses machines that would go on from different steps; all of them call it.

    Raises:
        ValueError: on every machine, if their run directories are not one and the same.
    """
    if devices.worker[1] == 1:
        return
    steps = _of_all(step, devices)
    if len(set(steps)) > 1:
        raise ValueError(
            "--run-dir must be one folder that all machines see, for example on a network disk: "
            "they found different checkpoints, or an old copy of the folder. "
            f"Received: steps {steps} on the devices of {devices.worker[1]} machines"
        )


@contextlib.contextmanager
def chief_first(devices: Devices) -> Iterator[None]:
    """Lets other machines in when the first one is out: they find the files that it wrote."""
    if not devices.is_chief:
        _of_all(0, devices)
    yield
    if devices.is_chief and devices.worker[1] > 1:
        _of_all(0, devices)


def _of_all(number: int, devices: Devices) -> list[int]:
    """The number that each device has; waits until all machines have called it."""
    import tensorflow as tf

    mine = devices.strategy.run(lambda: tf.constant([number], tf.int64))
    return devices.strategy.gather(mine, axis=0).numpy().tolist()


@contextlib.contextmanager
def lost_machine_named(devices: Devices) -> Iterator[None]:
    """Turns the error of a machine whose partner is gone into what to do about it.

    Raises:
        ConnectionError: in place of TensorFlow's.
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
        raise ConnectionError(
            f"Another of the {devices.worker[1]} machines of this run is gone, and training stops "
            "here, too. Run the same command on all machines again: it goes on from the last "
            f"checkpoint. TensorFlow says: {' '.join(text.split())[:400]}"
        ) from None
