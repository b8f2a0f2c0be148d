"""Which video goes to which shard, decided before anything is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence

from keras_t3d.data.sources.listing import SPLITS, VideoEntry

_TARGET_BYTES = 256 * 2**20
# Frames as JPEG took about ten times the bytes of the video on 170x128 clips.
_JPEG_GROWTH = 10
# Small sets still get several shards: they are shuffled and read in parallel.
_MOST_SHARDS_OF_SMALL_SETS = 16
_FEWEST_VIDEOS = 8


@dataclasses.dataclass(frozen=True)
class PlannedShard:
    """One shard to write: its file name, its split and its videos in order."""

    name: str
    split: str
    entries: tuple[VideoEntry, ...]


def plan_shards(entries: Sequence[VideoEntry], seed: int = 0) -> list[PlannedShard]:
    """Deals the videos of each split to shards.

    The order is a hash of the seed and each video's name, so that classes mix
    and neither workers nor restarts can change it.

    Args:
        entries: the videos.
        seed: int. Another seed gives another order. Defaults to `0`.

    Returns:
        The shards of train, val and test, in the order of their names.

    Example:

    ```python
    [shard.name for shard in plan_shards(entries)]  # ["train-00000-of-00002.tfrecord", ...]
    ```
    """
    shards = []
    for split in SPLITS:
        mixed = sorted(
            (entry for entry in entries if entry.split == split),
            key=lambda entry: hashlib.sha256(
                f"{seed}:{entry.video_id}".encode("utf-8", "surrogateescape")
            ).digest(),
        )
        if not mixed:
            continue
        expected = _JPEG_GROWTH * sum(os.path.getsize(entry.path) for entry in mixed)
        for_reading = min(_MOST_SHARDS_OF_SMALL_SETS, len(mixed) // _FEWEST_VIDEOS)
        count = max(1, for_reading, min(len(mixed), -(-expected // _TARGET_BYTES)))
        for index in range(count):
            part = mixed[index * len(mixed) // count : (index + 1) * len(mixed) // count]
            name = f"{split}-{index:05d}-of-{count:05d}.tfrecord"
            shards.append(PlannedShard(name, split, tuple(part)))
    return shards
