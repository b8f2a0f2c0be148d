"""Distributes videos to shards before any is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.sources.listing import SPLITS, VideoEntry
from keras_t3d.data.video.frames import USUAL_FPS

_TARGET_BYTES = 256 * 2**20
# Small sets get several shards, too, to be shuffled and read in parallel.
_MOST_SHARDS_OF_SMALL_SETS = 16
_FEWEST_VIDEOS = 8
_HEADER_SECONDS = 20.0  # time limit of reading a header
_NUM_HEADERS = 64  # videos whose headers are read to estimate the size of their JPEG frames
_BYTES_PER_PIXEL = 0.3  # of a JPEG of quality 90, measured on clips of 170x128
_USUAL_GROWTH = 10.0  # of short clips of 170x128, if no header states a length


@dataclasses.dataclass(frozen=True)
class PlannedShard:
    """One shard to write.

    Attributes:
        name: file name.
        split: `"train"`, `"val"` or `"test"`.
        entries: its videos, in order.
        expected_bytes: estimated size.
    """

    name: str
    split: str
    entries: tuple[VideoEntry, ...]
    expected_bytes: int


def plan_shards(entries: Sequence[VideoEntry], options: ConversionOptions) -> list[PlannedShard]:
    """Distributes the videos of each split to shards.

    The order is a hash of the seed and each video's name, so that classes mix and neither
    workers nor restarts change it. The number of shards follows from the sizes of the files and
    the lengths that a few headers state.

    Args:
        entries: the videos.
        options: seed of the order, size of the stored frames.

    Returns:
        The shards of train, val and test, in the order of their names.
    """
    shards = []
    for split in SPLITS:
        mixed = sorted(
            (entry for entry in entries if entry.split == split),
            key=lambda entry: hashlib.sha256(
                f"{options.seed}:{entry.video_id}".encode("utf-8", "surrogateescape")
            ).digest(),
        )
        if not mixed:
            continue
        sizes = [os.path.getsize(entry.path) for entry in mixed]
        expected = int(_growth(mixed[:_NUM_HEADERS], sizes, options.short_side) * sum(sizes))
        for_reading = min(_MOST_SHARDS_OF_SMALL_SETS, len(mixed) // _FEWEST_VIDEOS)
        count = max(1, for_reading, min(len(mixed), -(-expected // _TARGET_BYTES)))
        for index in range(count):
            part = mixed[index * len(mixed) // count : (index + 1) * len(mixed) // count]
            name = f"{split}-{index:05d}-of-{count:05d}.tfrecord"
            shards.append(PlannedShard(name, split, tuple(part), expected // count))
    return shards


def _growth(entries: Sequence[VideoEntry], sizes: Sequence[int], short_side: int) -> float:
    """Returns the estimated bytes of JPEG frames per byte of these files."""
    before = after = 0.0
    decoder = IsolatedDecoder(_HEADER_SECONDS)  # a broken header can crash or hang it
    try:
        for entry, size in zip(entries, sizes, strict=False):
            expected = _jpeg_bytes(entry, decoder.read_header(entry.path), short_side)
            if expected is not None:
                before, after = before + size, after + expected
    finally:
        decoder.stop()
    return after / before if before else _USUAL_GROWTH


def _jpeg_bytes(entry: VideoEntry, header: dict[str, Any], short_side: int) -> float | None:
    """Returns the estimated size of a video's JPEG frames; None if the header is incomplete."""
    if not (header and header["height"] and header["width"]):
        return None
    seconds = min(header["seconds"], entry.end or header["seconds"]) - (entry.start or 0.0)
    height, width = header["height"], header["width"]
    scale = min(1.0, short_side / min(height, width))
    pixels = height * width * scale**2
    return max(seconds, 0.0) * (header["fps"] or USUAL_FPS) * pixels * _BYTES_PER_PIXEL
