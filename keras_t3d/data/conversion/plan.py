"""Plans a conversion before any video is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import warnings
from typing import Any

from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.shard_plan import PlannedShard, plan_shards
from keras_t3d.data.sources.layouts import list_videos
from keras_t3d.data.sources.listing import DatasetWarning, Listing, VideoEntry
from keras_t3d.errors import InvalidArgumentError

_OF_THE_WORK = ("workers", "time_limit", "max_rejects")
_OF_THE_FRAMES = ("short_side", "jpeg_quality", "max_seconds", "seed")


@dataclasses.dataclass(frozen=True)
class ConversionPlan:
    """What a conversion reads and writes."""

    out: pathlib.Path  # the folder of shards
    listing: Listing
    shards: tuple[PlannedShard, ...]  # in the order of their names
    options: ConversionOptions

    @property
    def manifest_options(self) -> dict[str, Any]:
        """The options, as the manifest states them: all but those of this machine's work."""
        options = dataclasses.asdict(self.options)
        return {name: value for name, value in options.items() if name not in _OF_THE_WORK}

    def fingerprint(self) -> str:
        """Returns a hash of the videos, their shards and how their frames are stored."""

        def identity(entry: VideoEntry) -> list[Any]:
            size = os.path.getsize(entry.path)
            return [entry.video_id, entry.label, entry.start, entry.end, size]

        videos = [(shard.name, list(map(identity, shard.entries))) for shard in self.shards]
        encoding = [float(getattr(self.options, name)) for name in _OF_THE_FRAMES]
        content = [encoding, list(self.listing.class_names), videos]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def plan_conversion(
    source: str | os.PathLike[str], out: str | os.PathLike[str], options: ConversionOptions
) -> ConversionPlan:
    """Lists the videos of a conversion and distributes them to shards.

    Raises:
        InvalidArgumentError: if `out` is inside `source` or a file, or an option does not apply
            to the layout.
        SourceError: if the source lists nothing to train on.

    Warns:
        DatasetWarning: if a split lacks videos of a class, or all videos are one group.
    """
    out, source = pathlib.Path(out), pathlib.Path(source)
    if out.resolve().is_relative_to(source.resolve()):
        raise InvalidArgumentError(
            "`out` must not be inside `source`, whose folders are read as videos: choose a folder "
            f"beside it. Received: {out} in {source}",
            argument="out",
        )
    if out.exists() and not out.is_dir():
        raise InvalidArgumentError(
            f"`out` must be a folder. Received: the file {out}", argument="out"
        )
    listing = list_videos(source, options)
    for text in listing.warnings():
        warnings.warn(text, DatasetWarning, stacklevel=3)
    return ConversionPlan(out, listing, tuple(plan_shards(listing.entries, options)), options)


def check_space(plan: ConversionPlan) -> None:
    """Raises a ConversionError if the disk has too little space for the shards."""
    folder = next(place for place in (plan.out, *plan.out.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(folder).free
    written = sum(path.stat().st_size for path in plan.out.rglob("*") if path.is_file())
    # The videos of a shard are stored twice while it is assembled.
    shards = [shard.expected_bytes for shard in plan.shards]
    needed = sum(shards) + max(shards) - written
    if needed > free:
        raise ConversionError(
            f"The shards will take about {needed / 2**30:.1f} GiB, and the disk of {folder} has "
            f"{free / 2**30:.1f} GiB free. Free some space, choose another disk or a smaller "
            f"`short_side`. Received: {len(plan.listing.entries)} videos"
        )
