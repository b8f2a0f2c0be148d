"""Videos to clip shards on this machine: list, plan, decode in parallel, put together, report."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import os
import queue
from collections.abc import Iterator, Sequence
from typing import Any

import loky

from keras_t3d.data.conversion.folder import ConversionFolder
from keras_t3d.data.conversion.isolation import IsolatedDecoder, check_time_limit, disk_full_named
from keras_t3d.data.conversion.plan import ConversionPlan, check_space, plan_conversion
from keras_t3d.data.conversion.report import ConversionReport, finish_conversion
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.progress import Progress

_AHEAD = 16  # videos a worker, at most, that wait for the shard before theirs


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str = "folder",
    *,
    annotations: str | os.PathLike[str] | None = None,
    split_id: int | None = None,
    split_ratio: str | None = None,
    group_regex: str | None = None,
    short_side: int = 128,
    jpeg_quality: int = 90,
    max_seconds: float = 30.0,
    seed: int = 0,
    workers: int | None = None,
    time_limit: float = 120.0,
    max_rejects: int | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Converts videos to TFRecord clip shards.

    Every listed video ends in the shards or in `rejects.csv`. An interrupted
    conversion goes on where it was when called again with the same arguments;
    neither that nor the number of workers changes a byte of the result. A video
    that crashes or hangs its decoder is rejected; the others go on.

    Args:
        source: folder or file that the layout reads.
        out: folder to write; new, empty, or an unfinished conversion of the same.
        layout: one of `keras_t3d.data.sources.layouts.LAYOUTS`. Defaults to `"folder"`.
        annotations: folder or file of the dataset's official lists, where the layout
            has some. Defaults to `None`.
        split_id: int. Which of the dataset's official splits. Defaults to `None`.
        split_ratio: str. Splits by hash where the source names no splits; see
            `parse_split_ratio`. Defaults to `None`.
        group_regex: str. Keeps clips of one source in one split. Defaults to `None`.
        short_side: int. Frames are shrunk to this short side, in pixels, never
            enlarged. At least the `resize` of the specs that will read them.
            Defaults to `128`.
        jpeg_quality: int, 1 to 100. Defaults to `90`.
        max_seconds: float. Longer videos are cut into records of at most this length,
            each a video of its own to those who read. Defaults to `30.0`.
        seed: int. Seed of the order in the shards. Defaults to `0`.
        workers: int. Processes that decode. Defaults to the number of cores.
        time_limit: float. Seconds that a video may take until its next frame, before it
            is rejected. Defaults to `120.0`.
        max_rejects: int. More rejects than this fail the conversion. Defaults to
            no limit.
        progress: called with (videos done, videos in all). Defaults to `None`.

    Returns:
        A ConversionReport.

    Raises:
        ValueError: if an argument is wrong, the source lists nothing to train on,
            no video decodes, there are too many rejects, or too little space on the disk.
        ConversionError: if the disk gets full, or cannot be written.

    Example:

    ```python
    report = keras_t3d.data.convert("videos", "shards", split_ratio="0.8")
    report.videos  # {"train": 800, "val": 0, "test": 200}
    ```
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1. Received: {workers}")
    check_time_limit(time_limit)
    plan = plan_conversion(
        source,
        out,
        layout,
        annotations=annotations,
        split_id=split_id,
        split_ratio=split_ratio,
        group_regex=group_regex,
        short_side=short_side,
        jpeg_quality=jpeg_quality,
        max_seconds=max_seconds,
        seed=seed,
    )
    made_folder = not plan.out.exists()
    folder = ConversionFolder(plan.out, plan.shards)
    check_space(plan)
    with disk_full_named(plan.out), folder.entered(plan.fingerprint()):
        summaries = _write_shards(
            folder, plan, workers or loky.cpu_count(), time_limit, max_rejects, progress
        )
        if not any(shard["examples"] for shard in summaries):
            folder.clear(remove=made_folder)
        report = finish_conversion(plan, summaries, max_rejects)
        folder.leave()
    return report


def _write_shards(
    folder: ConversionFolder,
    plan: ConversionPlan,
    workers: int,
    time_limit: float,
    max_rejects: int | None,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Decodes what is not yet decoded and writes the shards in turn; gives their summaries."""
    summaries = {shard.name: folder.summary(shard) for shard in plan.shards}
    pending = [shard for shard in plan.shards if summaries[shard.name] is None]
    total = len(plan.listing.entries)
    done = total - sum(len(shard.entries) for shard in pending)
    rejected = len(plan.listing.rejects)
    rejected += sum(len(summary["rejects"]) for summary in summaries.values() if summary)
    with _decoded(folder, pending, plan, workers, time_limit) as outcomes:
        for shard in pending:
            for _ in shard.entries:
                rejected += next(outcomes).reason is not None
                done += 1
                if progress is not None:
                    progress(done, total)
                if max_rejects is not None and rejected > max_rejects and done < total:
                    raise ValueError(
                        f"{rejected} of the first {done} files were rejected, more than "
                        f"--max-rejects {max_rejects}: stopped. What is converted is kept: run "
                        "again with a higher limit to go on, and find the rest in rejects.csv."
                    )
            summaries[shard.name] = folder.write_shard(shard)
    return [summary for summary in summaries.values() if summary is not None]


@contextlib.contextmanager
def _decoded(
    folder: ConversionFolder,
    pending: Sequence[PlannedShard],
    plan: ConversionPlan,
    workers: int,
    time_limit: float,
) -> Iterator[Iterator[Outcome]]:
    """Gives the outcome of each video in the order of the plan, decoding in parallel."""
    class_ids = plan.listing.class_ids
    decoders = [IsolatedDecoder(time_limit) for _ in range(workers)]
    idle: queue.SimpleQueue[IsolatedDecoder] = queue.SimpleQueue()
    for decoder in decoders:
        idle.put(decoder)

    def decode(place: int, entry: VideoEntry) -> Outcome:
        outcome = folder.outcome(place)
        if outcome is None:
            decoder = idle.get()
            try:
                outcome = decoder.write_records(
                    entry, class_ids[entry.label], plan.options, folder.records_path(place)
                )
            finally:
                idle.put(decoder)
            folder.keep_outcome(place, outcome)
        return outcome

    videos = (
        video
        for shard in pending
        for video in zip(folder.places(shard), shard.entries, strict=True)
    )
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:

        def outcomes() -> Iterator[Outcome]:
            ahead = collections.deque(
                pool.submit(decode, *video) for video in itertools.islice(videos, _AHEAD * workers)
            )
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(decode, *video) for video in itertools.islice(videos, 1))

        try:
            yield outcomes()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for decoder in decoders:
                decoder.stop()
