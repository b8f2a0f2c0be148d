"""The clips that a run trains on and is measured by, for any backend and any machines."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_t3d.data.clips.clip import Transform
from keras_t3d.data.clips.options import ReadOptions
from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.training.config import RunConfig, TrainConfig
from keras_t3d.training.devices import Devices


def training_reader(
    config: RunConfig,
    shards: ShardSet,
    *,
    first_step: int = 0,
    worker: tuple[int, int] = (0, 1),
    transforms: Sequence[Transform] = (),
) -> ClipReader:
    """Returns the reader of training clips, with labels for a TrainConfig.

    Args:
        config: configuration of the run.
        shards: shards to read.
        first_step: number of steps since the first epoch that are done.
        worker: (index, count) of this machine.
        transforms: functions applied to each clip, see ClipReader.

    Raises:
        ValueError: if the shards do not fit the configuration.
    """
    data = config.data
    return ClipReader(
        shards,
        data.train_split,
        config.clip_spec,
        data.batch_size,
        training=True,
        seed=config.seed,
        augmentation=data.augmentation,
        options=dataclasses.replace(
            data.read_options(), repeat=True, first_step=first_step, worker=worker
        ),
        labelled=isinstance(config, TrainConfig),
        transforms=transforms,
    )


def training_clips(
    config: TrainConfig, shards: ShardSet, devices: Devices, first_step: int = 0
) -> Any:
    """Returns endless training batches for `fit`, starting at a step.

    Args:
        config: configuration of the run.
        shards: shards to read.
        devices: devices that train.
        first_step: number of steps since the first epoch that are done.

    Returns:
        With TensorFlow a dataset, distributed if there are several machines; without it an
        iterator.

    Raises:
        ValueError: if the shards do not fit the configuration.
    """
    reader = training_reader(config, shards, first_step=first_step, worker=devices.worker)
    if not has_tensorflow():
        return reader.as_py_dataset().read_ahead()
    return over_machines(reader.as_tf_dataset(), devices)


def validation_clips(config: TrainConfig, shards: ShardSet, devices: Devices) -> Any | None:
    """Returns the centre views of the validation split in full batches, or None without one.

    The last batch is padded with clips of weight 0: every device has its share, and metrics
    are exact.
    """
    split = config.data.validation_split
    if split is None:
        return None
    if split not in shards.splits:
        print(f"No videos of the split {split!r}: best.keras will be the last epoch's model.")
        return None
    reader = validation_reader(config, shards, split, devices)
    if not has_tensorflow():
        return reader.as_py_dataset(workers=READERS)
    import tensorflow as tf

    clips = reader.as_tf_dataset()
    if config.data.augmentation.mixes:
        classes = len(shards.class_names)
        clips = clips.map(lambda clip, label, weight: (clip, tf.one_hot(label, classes), weight))
    return over_machines(clips, devices)


def validation_reader(
    config: RunConfig,
    shards: ShardSet,
    split: str,
    devices: Devices,
    transforms: Sequence[Transform] = (),
) -> ClipReader:
    """Returns the reader of validation clips in full batches, with labels for a TrainConfig."""
    return ClipReader(
        shards,
        split,
        config.clip_spec,
        config.data.batch_size,
        options=ReadOptions(
            pad_last_batch=True, worker=devices.worker, on_damage=config.data.on_damage
        ),
        labelled=isinstance(config, TrainConfig),
        transforms=transforms,
    )


def statistics_batches(
    batches: Any, devices: Devices, count: int, clips_of: Callable[[Any], Any]
) -> Iterator[Any]:
    """Gives the clips of the first training batches, spread over the devices, one by one."""
    if devices.strategy is None:  # JAX
        return (np.asarray(clips_of(batch)) for batch in itertools.islice(iter(batches), count))
    if devices.worker[1] == 1:
        batches = devices.strategy.experimental_distribute_dataset(batches)
    return (clips_of(batch) for batch in itertools.islice(iter(batches), count))


def sample_clips(config: TrainConfig, shards: ShardSet, count: int) -> tuple[np.ndarray, list[str]]:
    """Returns the first training clips, at most `count`, and the names of their classes."""
    first = next(iter(training_clips(config, shards, THIS_PROCESS)))
    clips, labels = (np.asarray(value)[:count] for value in first[:2])
    ids = labels.argmax(-1) if labels.ndim > 1 else labels
    return clips, [shards.class_names[index] for index in ids]


READERS = 4  # threads of the NumPy form; Pillow decodes outside Python's lock
THIS_PROCESS = Devices((), None, (0, 1), 1)  # by itself, to look at some clips


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed, whatever the backend: it reads fastest."""
    return importlib.util.find_spec("tensorflow") is not None


def over_machines(clips: Any, devices: Devices) -> Any:
    """Returns a machine's clips as its part of a distributed dataset; one machine's as they are."""
    machines = devices.worker[1]
    if machines == 1:
        return clips
    import tensorflow as tf

    each = devices.count // machines
    own_clips = tf.nest.flatten(clips.element_spec)[0].shape[0]

    def own(context: Any) -> Any:
        # One element a device of this machine.
        return clips.rebatch(own_clips // each) if each > 1 else clips

    return devices.strategy.distribute_datasets_from_function(own)
