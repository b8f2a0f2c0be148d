"""Converts videos to clip shards on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import loky

from keras_t3d.data.conversion.errors import ConversionError, explained_full_disk
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import OutputFolder
from keras_t3d.data.conversion.plan import ConversionPlan, check_space, plan_conversion
from keras_t3d.data.conversion.report import ConversionReport, finish_conversion
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.sources.listing import Listing, VideoEntry
from keras_t3d.data.video.parallel_decoding import decoded_in_order
from keras_t3d.progress import Progress

_READ_AHEAD = 16  # decoded videos per worker, at most, that wait for an earlier shard


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    progress: Progress | None = None,
    listed: Callable[[Listing], None] = lambda listing: None,
) -> ConversionReport:
    """Converts videos to TFRecord clip shards.

    Every listed video ends up in the shards or in `rejects.csv`. Call it again with the same
    arguments to resume an interrupted conversion; neither this nor the number of workers changes
    a byte of the result. A video that crashes or hangs its decoder is rejected.

    Args:
        source: folder or file that the layout reads.
        out: folder to write: new, empty, or an unfinished conversion of the same videos.
        options: ConversionOptions; None means the default of each option.
        progress: called with (videos done, videos in total).
        listed: called with the Listing, before any video is decoded.

    Returns:
        A ConversionReport.

    Raises:
        InvalidArgumentError: if an argument is invalid.
        SourceError: if the source lists nothing to train on.
        ConversionError: if no video decodes, too many are rejected, or the disk is too small.

    Example:

    ```python
    options = keras_t3d.data.ConversionOptions(split_ratio="0.8")
    report = keras_t3d.data.convert("videos", "shards", options)
    report.videos  # {"train": 800, "val": 0, "test": 200}
    ```
    """
    plan = plan_conversion(source, out, options or ConversionOptions())
    listed(plan.listing)
    is_new = not plan.out.exists()
    folder = OutputFolder(plan.out, plan.shards)
    check_space(plan)
    with explained_full_disk(plan.out), folder.entered(plan.fingerprint()):
        summaries = _write_shards(folder, plan, progress)
        if not any(shard["examples"] for shard in summaries):
            folder.clear(remove=is_new)
        report = finish_conversion(plan, summaries)
        folder.leave()
    return report


def _write_shards(
    folder: OutputFolder, plan: ConversionPlan, progress: Progress | None
) -> list[dict[str, Any]]:
    """Decodes the remaining videos, writes their shards, and returns all summaries."""
    max_rejects = plan.options.max_rejects
    summaries = {shard.name: folder.summary(shard) for shard in plan.shards}
    pending = [shard for shard in plan.shards if summaries[shard.name] is None]
    total = len(plan.listing.entries)
    done = total - sum(len(shard.entries) for shard in pending)
    unfit = len(plan.listing.rejects)
    rejected = sum(len(summary["rejects"]) for summary in summaries.values() if summary)
    with _decoded(folder, pending, plan) as outcomes:
        for shard in pending:
            for _ in shard.entries:
                rejected += next(outcomes).reason is not None
                done += 1
                if progress is not None:
                    progress(done, total)
                if max_rejects is not None and unfit + rejected > max_rejects and done < total:
                    raise ConversionError(
                        f"{rejected} of the first {done} videos do not decode, and {unfit} other "
                        f"files were rejected: more than `max_rejects` ({max_rejects}). Finished "
                        "work is kept: re-run with a higher limit to resume; rejects.csv will "
                        "then list them."
                    )
            summaries[shard.name] = folder.write_shard(shard)
    return [summary for summary in summaries.values() if summary is not None]


def _decoded(
    folder: OutputFolder, pending: Sequence[PlannedShard], plan: ConversionPlan
) -> contextlib.AbstractContextManager[Iterator[Outcome]]:
    """Yields the outcomes of the videos in the order of the plan, decoding in parallel."""
    class_ids, options = plan.listing.class_ids, plan.options

    def decode(decoder: IsolatedDecoder, video: tuple[int, VideoEntry]) -> Outcome:
        place, entry = video
        outcome = folder.outcome(place)
        if outcome is None:
            label, records = class_ids[entry.label], folder.records_path(place)
            outcome = decoder.write_records(entry, label, options, records)
            folder.keep_outcome(place, outcome)
        return outcome

    workers = options.workers or loky.cpu_count()
    decoders = [IsolatedDecoder(options.time_limit) for _ in range(workers)]
    videos = (
        video
        for shard in pending
        for video in zip(folder.places(shard), shard.entries, strict=True)
    )
    return decoded_in_order(decoders, decode, videos, ahead=_READ_AHEAD * workers)
