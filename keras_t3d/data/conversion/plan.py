"""What a conversion is to do, settled before anything is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

from keras_t3d.data.conversion.shard_plan import PlannedShard, plan_shards
from keras_t3d.data.conversion.video_records import RecordOptions
from keras_t3d.data.sources.layouts import list_videos
from keras_t3d.data.sources.listing import Listing


@dataclasses.dataclass(frozen=True)
class ConversionPlan:
    """A conversion: what it reads, what it writes, and how.

    Attributes:
        out: pathlib.Path. The folder of shards.
        listing: Listing.
        shards: PlannedShards, in the order of their names.
        options: RecordOptions.
        said: dict. The options as the manifest states them.
    """

    out: pathlib.Path
    listing: Listing
    shards: tuple[PlannedShard, ...]
    options: RecordOptions
    said: dict[str, Any]

    def fingerprint(self) -> str:
        """Names the conversion: same videos, same shards, same options."""
        videos = [
            (
                shard.name,
                [
                    (e.video_id, e.label, e.start, e.end, os.path.getsize(e.path))
                    for e in shard.entries
                ],
            )
            for shard in self.shards
        ]
        content = [self.said, list(self.listing.class_names), videos]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def plan_conversion(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str,
    *,
    annotations: str | os.PathLike[str] | None,
    split_id: int | None,
    split_ratio: str | None,
    group_regex: str | None,
    short_side: int,
    jpeg_quality: int,
    max_seconds: float,
    seed: int,
) -> ConversionPlan:
    """Checks the arguments of a conversion, lists its videos and deals them to shards.

    Args:
        See `keras_t3d.data.convert`.

    Raises:
        ValueError: if an argument is wrong, or the source lists nothing to train on.
    """
    if short_side < 16:
        raise ValueError(
            f"--short-side must be at least 16 pixels, for example 128. Received: {short_side}"
        )
    if not 1 <= jpeg_quality <= 100:
        raise ValueError(
            f"--jpeg-quality must be from 1 to 100, for example 90. Received: {jpeg_quality}"
        )
    if not max_seconds >= 1:
        raise ValueError(
            f"--max-seconds must be at least 1, for example 30. Received: {max_seconds}"
        )
    out, source = pathlib.Path(out), pathlib.Path(source)
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(
            "OUT must not lie inside SOURCE, whose folders are read as videos: choose a folder "
            f"beside it. Received: {out} in {source}"
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"OUT must be a folder. Received: the file {out}")
    listing = list_videos(
        layout,
        source,
        annotations=annotations,
        split_id=split_id,
        split_ratio=split_ratio,
        group_regex=group_regex,
    )
    options = RecordOptions(short_side, jpeg_quality, float(max_seconds))
    shards = tuple(plan_shards(listing.entries, seed, short_side))
    said = {"layout": layout, "split_id": split_id, **dataclasses.asdict(options), "seed": seed}
    return ConversionPlan(out, listing, shards, options, said)


def check_space(plan: ConversionPlan) -> None:
    """Raises a ValueError where the disk has too little space for the shards."""
    folder = next(place for place in (plan.out, *plan.out.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(folder).free
    written = sum(path.stat().st_size for path in plan.out.rglob("*") if path.is_file())
    # While a shard is put together its videos lie there twice.
    shards = [shard.expected_bytes for shard in plan.shards]
    needed = sum(shards) + max(shards) - written
    if needed > free:
        raise ValueError(
            f"The shards will take about {needed / 2**30:.1f} GiB, and the disk of {folder} has "
            f"{free / 2**30:.1f} GiB free. Free some space, choose another disk, or a smaller "
            f"--short-side. Received: {len(plan.listing.entries)} videos"
        )
