"""The clips without labels that a pretraining learns from and is measured by."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_t3d.data.clips.frame_features import FrameFeatures
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.training.clips import (
    READERS,
    THIS_PROCESS,
    has_tensorflow,
    over_machines,
    training_reader,
    validation_reader,
)
from keras_t3d.training.devices import Devices
from keras_t3d.training.pretrain_config import PretrainConfig


def training_clips(
    config: PretrainConfig,
    shards: ShardSet,
    devices: Devices,
    first_step: int = 0,
    features: FrameFeatures | None = None,
) -> Any:
    """Returns endless batches for `fit`, from a step on.

    Args:
        config: PretrainConfig.
        shards: ShardSet.
        devices: Devices.
        first_step: int. Steps since the first epoch that are done. Defaults to `0`.
        features: FrameFeatures of the split, which come with the clips. Defaults to `None`.

    Returns:
        What `fit` takes: with TensorFlow a dataset, over the machines where there are
        several; without it an iterator.

    Raises:
        ValueError: if the shards do not fit the configuration.
    """
    transforms = () if features is None else (features,)
    reader = training_reader(
        config, shards, first_step=first_step, worker=devices.worker, transforms=transforms
    )
    if not has_tensorflow():
        # Keras takes no generator of dicts.
        return ((batch,) for batch in reader.as_py_dataset().read_ahead())
    return over_machines(reader.as_tf_dataset(), devices)


def validation_clips(
    config: PretrainConfig,
    shards: ShardSet,
    devices: Devices,
    features: FrameFeatures | None = None,
) -> Any | None:
    """Returns the centre views of the validation split in full batches, or None without one.

    The last batch is filled with clips that count nothing.
    """
    split = validation_split(config, shards)
    if split is None:
        return None
    transforms = () if features is None else (features,)
    reader = validation_reader(config, shards, split, devices, transforms)
    if not has_tensorflow():
        return reader.as_py_dataset(workers=READERS)
    return over_machines(reader.as_tf_dataset(), devices)


def validation_split(config: PretrainConfig, shards: ShardSet) -> str | None:
    """Returns the split that a pretraining is measured by, or None where there is none."""
    split = config.data.validation_split
    return split if split in shards.splits else None


def sample_clips(
    config: PretrainConfig, shards: ShardSet, count: int
) -> tuple[np.ndarray, list[str]]:
    """Returns the first training clips, at most `count`, and a heading for each."""
    first = next(iter(training_clips(config, shards, THIS_PROCESS)))
    clips = np.asarray(clips_of(first))[:count]
    return clips, [f"clip {number}" for number in range(1, len(clips) + 1)]


def clips_of(batch: Any) -> Any:
    """Returns the clips of what `training_clips` gives."""
    return (batch[0] if isinstance(batch, tuple) else batch)["clips"]
