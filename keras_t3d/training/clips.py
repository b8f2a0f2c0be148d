"""The clips that a run trains on and is measured by, for any backend and any machines."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_t3d.data.clips import steps
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.training.config import RunConfig, TrainConfig
from keras_t3d.training.devices import Devices


def steps_per_epoch(config: RunConfig, shards: ShardSet) -> int:
    """Returns the full training batches of an epoch; ValueError if the split is too small."""
    data = config.data
    return steps.steps_per_epoch(
        shards, data.train_split, data.batch_size, data.augmentation.repeats, data.on_damage
    )


def training_clips(
    config: TrainConfig, shards: ShardSet, devices: Devices, first_step: int = 0
) -> Any:
    """Returns endless batches for `fit`, from a step on.

    Args:
        config: TrainConfig.
        shards: ShardSet.
        devices: Devices.
        first_step: int. Steps since the first epoch that are done. Defaults to `0`.

    Returns:
        What `fit` takes: with TensorFlow a dataset, over the machines where there are
        several; without it an iterator.

    Raises:
        ValueError: if the shards do not fit the configuration.
    """
    data, options = config.data, training_options(config, first_step)
    if not has_tensorflow():
        from keras_t3d.data.clips.clip_dataset import ClipDataset

        clips = ClipDataset(shards, data.train_split, config.clip, data.batch_size, **options)
        return clips.read_ahead()
    from keras_t3d.data.clips.pipeline import load_clips

    clips = load_clips(
        shards, data.train_split, config.clip, data.batch_size, worker=devices.worker, **options
    )
    return over_machines(clips, devices)


def training_options(config: RunConfig, first_step: int) -> dict[str, Any]:
    """Returns what the readers of training clips are told, with labels and without."""
    data = config.data
    return {
        "training": True,
        "seed": config.seed,
        "augmentation": data.augmentation,
        "sampling": data.sampling,
        "short": data.short,
        "target_fps": data.target_fps,
        "shuffle_buffer": data.shuffle_buffer,
        "on_damage": data.on_damage,
        "repeat": True,
        "first_step": first_step,
    }


def validation_clips(config: TrainConfig, shards: ShardSet, devices: Devices) -> Any | None:
    """Returns the centre views of the validation split in full batches, or None without one.

    The last batch is filled with clips of weight 0: every device has its share, and the
    figures are exact.
    """
    split = config.data.validation_split
    if split is None:
        return None
    if split not in shards.splits:
        print(f"No videos of the split {split!r}: best.keras will be the last epoch's model.")
        return None
    if not has_tensorflow():
        return _validation_without_tensorflow(config, shards, split)
    import tensorflow as tf

    from keras_t3d.data.clips.pipeline import load_clips

    clips = load_clips(
        shards,
        split,
        config.clip,
        config.data.batch_size,
        pad_last_batch=True,
        worker=devices.worker,
        on_damage=config.data.on_damage,
    )
    if config.data.augmentation.mixes:
        classes = len(shards.class_names)
        clips = clips.map(lambda clip, label, weight: (clip, tf.one_hot(label, classes), weight))
    return over_machines(clips, devices)


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


READERS = 4  # threads of a ClipDataset; Pillow decodes outside Python's lock
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


def _validation_without_tensorflow(config: TrainConfig, shards: ShardSet, split: str) -> Any:
    from keras_t3d.data.clips.clip_dataset import ClipDataset

    return ClipDataset(
        shards,
        split,
        config.clip,
        config.data.batch_size,
        on_damage=config.data.on_damage,
        workers=READERS,
        pad_last_batch=True,
    )
