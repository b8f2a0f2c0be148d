"""How many batches an epoch has."""

from __future__ import annotations

import os

from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.shard_set import ShardSet


def steps_per_epoch(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    batch_size: int,
    repeats: int = 1,
    on_damage: str = "error",
) -> int:
    """Returns the number of full training batches in one epoch of a split.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        batch_size: int. Clips in a batch, over all devices and workers.
        repeats: int. `Augmentation.repeats`: clips that each video gives to an epoch.
            Defaults to `1`.
        on_damage: as for `load_clips`: `"skip"` counts intact records, reading all.
            Defaults to `"error"`.

    Raises:
        ValueError: if the split is too small for one batch.
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    num_videos = split_records(shards, split, on_damage).num_videos
    return training_steps(
        num_videos, batch_size, repeats, f"The split {split!r} of {shards.folder}"
    )


def training_steps(num_videos: int, batch_size: int, repeats: int, source: str) -> int:
    """Returns the full batches of an epoch; raises a ValueError where there is none."""
    steps = num_videos * repeats // batch_size
    if steps == 0:
        raise ValueError(
            f"{source} has {num_videos} videos, too few for one training batch. "
            f"Received: batch_size={batch_size}"
        )
    return steps
