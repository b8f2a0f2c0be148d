"""Which video goes to which shard, decided before anything is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from keras_t3d.data.sources.listing import SPLITS, VideoEntry

_TARGET_BYTES = 256 * 2**20
# Small sets still get several shards: they are shuffled and read in parallel.
_MOST_SHARDS_OF_SMALL_SETS = 16
_FEWEST_VIDEOS = 8
_PROBE_SECONDS = 20.0  # that a header may take
_PROBED = 64  # videos whose headers say how much larger than the files the JPEG frames get
_BYTES_PER_PIXEL = 0.3  # of a JPEG of quality 90, measured on clips of 170x128
_USUAL_GROWTH = 10.0  # of short clips of 170x128, where no header says a length


@dataclasses.dataclass(frozen=True)
class PlannedShard:
    """One shard to write.

    Attributes:
        name: str. Its file's name.
        split: str.
        entries: VideoEntry. Its videos, in order.
        expected_bytes: int. About what it will take.
    """

    name: str
    split: str
    entries: tuple[VideoEntry, ...]
    expected_bytes: int


def plan_shards(
    entries: Sequence[VideoEntry], seed: int = 0, short_side: int = 128
) -> list[PlannedShard]:
    """Deals the videos of each split to shards.

    The order is a hash of the seed and each video's name, so that classes mix
    and neither workers nor restarts can change it. The number of shards follows from
    the files' sizes, and from what a few headers say of their lengths.

    Args:
        entries: the videos.
        seed: int. Another seed gives another order. Defaults to `0`.
        short_side: int. Frames are shrunk to this, in pixels. Defaults to `128`.

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
        sizes = [os.path.getsize(entry.path) for entry in mixed]
        expected = int(_growth(mixed[:_PROBED], sizes, short_side) * sum(sizes))
        for_reading = min(_MOST_SHARDS_OF_SMALL_SETS, len(mixed) // _FEWEST_VIDEOS)
        count = max(1, for_reading, min(len(mixed), -(-expected // _TARGET_BYTES)))
        for index in range(count):
            part = mixed[index * len(mixed) // count : (index + 1) * len(mixed) // count]
            name = f"{split}-{index:05d}-of-{count:05d}.tfrecord"
            shards.append(PlannedShard(name, split, tuple(part), expected // count))
    return shards


def _growth(entries: Sequence[VideoEntry], sizes: Sequence[int], short_side: int) -> float:
    """Expected bytes of JPEG frames to a byte of these files, of which some are probed."""
    from keras_t3d.data.conversion.isolation import IsolatedDecoder

    before = after = 0.0
    decoder = IsolatedDecoder(_PROBE_SECONDS)  # a broken header can crash or hang, too
    try:
        for entry, size in zip(entries, sizes, strict=False):
            expected = _jpeg_bytes(entry, decoder.promise(entry.path), short_side)
            if expected is not None:
                before, after = before + size, after + expected
    finally:
        decoder.stop()
    return after / before if before else _USUAL_GROWTH


def _jpeg_bytes(entry: VideoEntry, promise: dict[str, Any], short_side: int) -> float | None:
    """What a header promises; None where it says nothing."""
    if not (promise and promise["height"] and promise["width"]):
        return None
    seconds = min(promise["seconds"], entry.end or promise["seconds"]) - (entry.start or 0.0)
    height, width = promise["height"], promise["width"]
    scale = min(1.0, short_side / min(height, width))
    pixels = height * width * scale**2
    return max(seconds, 0.0) * (promise["fps"] or 25.0) * pixels * _BYTES_PER_PIXEL
