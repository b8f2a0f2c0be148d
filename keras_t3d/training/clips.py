"""Training and validation clips of a run, on any backend and any number of machines.

A TrainConfig reads clips with labels, a PretrainConfig clips without.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_t3d.clips.padded_labels import LABELS
from keras_t3d.data.clips.clip import Transform
from keras_t3d.data.clips.options import ReadOptions
from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.training.config import RunConfig, TrainConfig
from keras_t3d.training.devices import Devices

READERS = 4  # threads of the NumPy form; Pillow decodes outside Python's lock
THIS_PROCESS = Devices((), None, (0, 1), 1)  # reads without other machines


def training_reader(
    config: RunConfig,
    shards: ShardSet,
    *,
    first_step: int = 0,
    worker: tuple[int, int] = (0, 1),
    transforms: Sequence[Transform] = (),
) -> ClipReader:
    """Returns the reader of training clips.

    Args:
        config: configuration of the run.
        shards: shards to read.
        first_step: number of steps since the first epoch that are done.
        worker: (index, count) of this machine.
        transforms: functions applied to each clip, see ClipReader.

    Returns:
        A reader of endless batches.

    Raises:
        InvalidArgumentError: if the shards do not fit the configuration.
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
    config: RunConfig,
    shards: ShardSet,
    devices: Devices,
    first_step: int = 0,
    transforms: Sequence[Transform] = (),
) -> Any:
    """Returns endless training batches for `fit`, starting at a step.

    Args:
        config: configuration of the run.
        shards: shards to read.
        devices: devices that train.
        first_step: number of steps since the first epoch that are done.
        transforms: functions applied to each clip, see ClipReader.

    Returns:
        With TensorFlow a dataset, distributed if there are several machines; without it an
        iterator.

    Raises:
        InvalidArgumentError: if the shards do not fit the configuration.
    """
    reader = training_reader(
        config, shards, first_step=first_step, worker=devices.worker, transforms=transforms
    )
    if _has_tensorflow():
        return _distribute(reader.as_tf_dataset(), devices)
    batches = reader.as_py_dataset().read_ahead()
    # Keras does not accept a generator of dicts.
    return batches if isinstance(config, TrainConfig) else ((batch,) for batch in batches)


def validation_reader(
    config: RunConfig,
    shards: ShardSet,
    devices: Devices,
    split: str,
    transforms: Sequence[Transform] = (),
) -> ClipReader:
    """Returns the reader of centre views in full batches.

    The last batch is padded with clips that do not count, so that every device has its share and
    metrics are exact.
    """
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


def validation_clips(
    config: RunConfig, shards: ShardSet, devices: Devices, transforms: Sequence[Transform] = ()
) -> Any | None:
    """Returns the batches of `validation_reader` for `fit`, or None without a validation split."""
    split = validation_split(config, shards)
    if split is None:
        return None
    reader = validation_reader(config, shards, devices, split, transforms)
    if not _has_tensorflow():
        return reader.as_py_dataset(workers=READERS)
    clips = reader.as_tf_dataset()
    if reader.labelled and config.data.augmentation.mixes:
        import tensorflow as tf

        classes = len(shards.class_names)
        clips = clips.map(
            lambda clip, padded: (clip, {**padded, LABELS: tf.one_hot(padded[LABELS], classes)})
        )
    return _distribute(clips, devices)


def validation_split(config: RunConfig, shards: ShardSet) -> str | None:
    """Returns the validation split, or None if it is not set or has no videos."""
    split = config.data.validation_split
    return split if split in shards.splits else None


@dataclasses.dataclass(frozen=True)
class ClipBatches:
    """The batches of a run that reads clips at every step; building them takes a second.

    Attributes:
        config: configuration of the run.
        shards: shards to read.
        devices: devices that train.
        transforms: functions applied to each clip, see ClipReader.
    """

    config: RunConfig
    shards: ShardSet
    devices: Devices
    transforms: Sequence[Transform] = ()

    def check(self) -> None:
        """Checks that the shards have the clips."""
        self.training(0)
        self.validation()

    def training(self, step: int) -> Any:
        """Returns endless training batches from a step on."""
        if step == 0:
            return self._from_the_start
        return training_clips(self.config, self.shards, self.devices, step, self.transforms)

    def validation(self) -> Any | None:
        """Returns the batches of the validation split, or None without one."""
        return self._validation

    @functools.cached_property
    def _from_the_start(self) -> Any:
        return training_clips(self.config, self.shards, self.devices, 0, self.transforms)

    @functools.cached_property
    def _validation(self) -> Any | None:
        return validation_clips(self.config, self.shards, self.devices, self.transforms)

    def statistics(self, count: int) -> Iterator[Any]:
        """Returns the clips of the first `count` training batches, distributed over devices."""
        batches = training_clips(self.config, self.shards, self.devices)
        strategy = self.devices.strategy
        if strategy is None:  # JAX
            return (np.asarray(clips_of(batch)) for batch in itertools.islice(batches, count))
        if self.devices.worker[1] == 1:
            batches = strategy.experimental_distribute_dataset(batches)
        return (clips_of(batch) for batch in itertools.islice(iter(batches), count))


def clips_of(batch: Any) -> Any:
    """Returns the clips of a batch, with labels or without."""
    first = batch[0] if isinstance(batch, tuple) else batch
    return first["clips"] if isinstance(first, dict) else first


def sample_clips(config: RunConfig, shards: ShardSet) -> tuple[np.ndarray, list[str]]:
    """Returns the clips of the first training batch, and a heading for each."""
    first = next(iter(training_clips(config, shards, THIS_PROCESS)))
    clips = np.asarray(clips_of(first))
    if not isinstance(config, TrainConfig):
        return clips, [f"clip {number}" for number in range(1, len(clips) + 1)]
    labels = np.asarray(first[1])
    ids = labels.argmax(-1) if labels.ndim > 1 else labels
    return clips, [shards.class_names[index] for index in ids]


def read_batches(reader: ClipReader) -> Iterator[Any]:
    """Returns the batches of a reader as NumPy arrays."""
    if _has_tensorflow():
        return reader.as_tf_dataset().as_numpy_iterator()
    return reader.as_py_dataset().read_ahead(READERS)


def _has_tensorflow() -> bool:
    """Returns whether TensorFlow is installed: it reads fastest, on any backend."""
    return importlib.util.find_spec("tensorflow") is not None


def _distribute(clips: Any, devices: Devices) -> Any:
    """Returns a machine's clips as its part of a distributed dataset, if there are several."""
    machines = devices.worker[1]
    if machines == 1:
        return clips
    import tensorflow as tf

    devices_here = devices.count // machines
    batch_size = tf.nest.flatten(clips.element_spec)[0].shape[0]

    def clips_of_machine(context: Any) -> Any:
        # One element per device of this machine.
        return clips.rebatch(batch_size // devices_here) if devices_here > 1 else clips

    return devices.strategy.distribute_datasets_from_function(clips_of_machine)
