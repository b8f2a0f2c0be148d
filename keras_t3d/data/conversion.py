"""Videos to clip shards: list, plan, encode in parallel, write, report."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import csv
import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import loky

from keras_t3d.artifact_files import LABELS, labels_text
from keras_t3d.atomic import write_text, written_beside
from keras_t3d.data.encode import EncodedVideo, encode_video
from keras_t3d.data.shards.plan import PlannedShard, plan_shards
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS, checksum
from keras_t3d.data.sources import Listing, VideoEntry, list_csv, list_folder
from keras_t3d.data.sources.listing import SPLITS, Reject
from keras_t3d.data.video import VideoError

LAYOUTS: dict[str, Callable[..., Listing]] = {"folder": list_folder, "csv": list_csv}

_PROGRESS = ".conversion"  # folder of an unfinished conversion: one json for each finished shard
_FORMAT = 1

Progress = Callable[[int, int], None]  # called with (videos done, videos in all)
Outcome = EncodedVideo | str  # str: why the video gives no frame


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What a conversion wrote.

    Attributes:
        folder: pathlib.Path. The folder of shards.
        videos: dict of str to int. Videos in the shards, by split.
        rejects: Reject. Listed files that gave no record.
        damaged: dicts of `video` and `reason`. Videos in the shards with the
            frames that decoded, fewer than their file promises.
        bytes: int. Size of all shards.
    """

    folder: pathlib.Path
    videos: dict[str, int]
    rejects: tuple[Reject, ...]
    damaged: tuple[dict[str, str], ...]
    bytes: int


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str = "folder",
    *,
    split_ratio: str | None = None,
    group_regex: str | None = None,
    short_side: int = 128,
    jpeg_quality: int = 90,
    seed: int = 0,
    workers: int | None = None,
    max_rejects: int | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Converts videos to TFRecord clip shards.

    Every listed video ends in the shards or in `rejects.csv`. An interrupted
    conversion goes on where it was when called again with the same arguments;
    neither that nor the number of workers changes a byte of the result.

    Args:
        source: folder or file that the layout reads.
        out: folder to write; new, empty, or an unfinished conversion of the same.
        layout: `"folder"` (see `list_folder`) or `"csv"` (see `list_csv`).
            Defaults to `"folder"`.
        split_ratio: str. Splits by hash where the source names no splits; see
            `parse_split_ratio`. Defaults to `None`.
        group_regex: str. Keeps clips of one source in one split. Defaults to `None`.
        short_side: int. Frames are shrunk to this short side, in pixels, never
            enlarged. At least the `resize` of the specs that will read them.
            Defaults to `128`.
        jpeg_quality: int, 1 to 100. Defaults to `90`.
        seed: int. Seed of the order in the shards. Defaults to `0`.
        workers: int. Processes that decode. Defaults to the number of cores.
        max_rejects: int. More rejects than this fail the conversion. Defaults to
            no limit.
        progress: called with (videos done, videos in all). Defaults to `None`.

    Returns:
        A ConversionReport.

    Raises:
        ValueError: if an argument is wrong, the source lists nothing to train on,
            no video decodes, or there are too many rejects.

    Example:

    ```python
    report = keras_t3d.data.convert("videos", "shards", split_ratio="0.8")
    report.videos  # {"train": 800, "val": 0, "test": 200}
    ```
    """
    out = pathlib.Path(out)
    options = _checked_options(layout, short_side, jpeg_quality, seed)
    workers = _checked_workers(workers)
    if out.resolve().is_relative_to(pathlib.Path(source).resolve()):
        raise ValueError(
            "OUT must not lie inside SOURCE, whose folders are read as videos: choose a folder "
            f"beside it. Received: {out} in {source}"
        )
    listing = LAYOUTS[layout](source, split_ratio=split_ratio, group_regex=group_regex)
    plan = plan_shards(listing.entries, seed)

    made_folder = not out.exists()
    _enter(out, _fingerprint(listing, plan, options))
    done = _write_shards(out, plan, listing, options, workers, progress)

    rejects = [*listing.rejects, *(Reject(**r) for shard in done for r in shard["rejects"])]
    rejects.sort(key=lambda reject: reject.source)
    _refuse_bad_outcome(out, done, rejects, max_rejects, made_folder)

    write_text(out / LABELS, labels_text(listing.class_names))
    write_text(out / REJECTS, _rejects_csv(rejects))
    manifest = _manifest(listing, options, done, rejects)
    write_text(out / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(out / _PROGRESS)
    return ConversionReport(
        folder=out,
        videos={name: split["videos"] for name, split in manifest["splits"].items()},
        rejects=tuple(rejects),
        damaged=tuple(manifest["damaged"]),
        bytes=sum(shard["bytes"] for shard in done),
    )


def _checked_options(layout: str, short_side: int, jpeg_quality: int, seed: int) -> dict[str, Any]:
    if layout not in LAYOUTS:
        raise ValueError(f"--layout must be one of {', '.join(LAYOUTS)}. Received: {layout!r}")
    if short_side < 16:
        raise ValueError(
            f"--short-side must be at least 16 pixels, for example 128. Received: {short_side}"
        )
    if not 1 <= jpeg_quality <= 100:
        raise ValueError(
            f"--jpeg-quality must be from 1 to 100, for example 90. Received: {jpeg_quality}"
        )
    return {"layout": layout, "short_side": short_side, "jpeg_quality": jpeg_quality, "seed": seed}


def _checked_workers(workers: int | None) -> int:
    if workers is None:
        return os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"--workers must be at least 1. Received: {workers}")
    return workers


# The output folder: new, or the same conversion gone on with.


def _fingerprint(listing: Listing, plan: list[PlannedShard], options: dict[str, Any]) -> str:
    """Names a conversion: same videos, same shards, same options."""
    content = [
        options,
        listing.class_names,
        [
            (s.name, [(e.video_id, e.label, os.path.getsize(e.path)) for e in s.entries])
            for s in plan
        ],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _enter(out: pathlib.Path, fingerprint: str) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"OUT must be a folder. Received: the file {out}")
    if (out / MANIFEST).exists():
        raise ValueError(
            f"OUT already holds finished shards: choose another folder, or remove it first. "
            f"Received: {out}"
        )
    started = out / _PROGRESS / "fingerprint"
    if started.is_file():
        if started.read_text() != fingerprint:
            raise ValueError(
                "OUT holds an unfinished conversion of other videos or with other options: run it "
                f"again as it was, choose another folder, or remove it first. Received: {out}"
            )
        for cut_short in out.glob(".part-*"):
            cut_short.unlink()
        return
    if out.exists() and any(out.iterdir()):
        raise ValueError(
            f"OUT must be new or empty, for example shards/. Received: {out}, which holds files"
        )
    write_text(started, fingerprint)


def _refuse_bad_outcome(
    out: pathlib.Path,
    done: list[dict[str, Any]],
    rejects: list[Reject],
    max_rejects: int | None,
    made_folder: bool,
) -> None:
    if not any(shard["examples"] for shard in done):
        first = rejects[0]
        for shard in done:
            (out / shard["name"]).unlink()
        shutil.rmtree(out / _PROGRESS)
        if made_folder:
            out.rmdir()
        raise ValueError(
            f"Not one of {len(rejects)} files could be converted; the first, {first.source}: "
            f"{first.reason}"
        )
    if max_rejects is not None and len(rejects) > max_rejects:
        write_text(out / REJECTS, _rejects_csv(rejects))
        raise ValueError(
            f"{len(rejects)} files were rejected, more than --max-rejects {max_rejects}: see "
            f"{out / REJECTS}. The shards written so far are kept: run again with a higher limit "
            "to finish at once."
        )


# Encoding and writing.


def _write_shards(
    out: pathlib.Path,
    plan: list[PlannedShard],
    listing: Listing,
    options: dict[str, Any],
    workers: int,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    class_ids = {name: index for index, name in enumerate(listing.class_names)}
    total = len(listing.entries)
    finished = {shard.name: _finished(out, shard) for shard in plan}
    pending = [shard for shard in plan if finished[shard.name] is None]
    entries = (entry for shard in pending for entry in shard.entries)
    with _encoded(entries, options, workers) as outcomes:
        counted = _counted(outcomes, total - sum(len(s.entries) for s in pending), total, progress)
        for shard in pending:
            written = _write_shard(out, shard, counted, class_ids)
            write_text(out / _PROGRESS / f"{shard.name}.json", json.dumps(written))
            finished[shard.name] = written
    return [summary for shard in plan if (summary := finished[shard.name]) is not None]


def _counted(
    outcomes: Iterator[tuple[VideoEntry, Outcome]],
    skipped: int,
    total: int,
    progress: Progress | None,
) -> Iterator[tuple[VideoEntry, Outcome]]:
    for done, outcome in enumerate(outcomes, start=skipped + 1):
        if progress is not None:
            progress(done, total)
        yield outcome


def _finished(out: pathlib.Path, shard: PlannedShard) -> dict[str, Any] | None:
    summary = out / _PROGRESS / f"{shard.name}.json"
    return json.loads(summary.read_text()) if summary.is_file() else None


@contextlib.contextmanager
def _encoded(
    entries: Iterator[VideoEntry], options: dict[str, Any], workers: int
) -> Iterator[Iterator[tuple[VideoEntry, Outcome]]]:
    """Gives (entry, encoded video or reason), in the order of the entries."""
    arguments = (options["short_side"], options["jpeg_quality"])
    if workers == 1:
        yield ((entry, _encode(entry.path, *arguments)) for entry in entries)
        return
    # Forking a process that runs TensorFlow's threads can hang, and the standard library's
    # spawn runs the caller's script again: loky starts clean workers.
    # Idle workers end by themselves, those of a parent that was killed too.
    pool = loky.ProcessPoolExecutor(workers, timeout=30)

    def outcomes() -> Iterator[tuple[VideoEntry, Outcome]]:
        ahead: collections.deque[tuple[VideoEntry, concurrent.futures.Future[Outcome]]]
        ahead = collections.deque()
        for entry in itertools.chain(entries, itertools.repeat(None)):
            if entry is not None:
                ahead.append((entry, pool.submit(_encode, entry.path, *arguments)))
                if len(ahead) < 4 * workers:  # bounds the encoded videos held in memory
                    continue
            if not ahead:
                return
            first, outcome = ahead.popleft()
            try:
                yield first, outcome.result()
            except loky.process_executor.BrokenProcessPool:
                raise RuntimeError(
                    "A decoding process died, for want of memory or of a defect in the decoder, at "
                    f"{first.video_id} or one of the {4 * workers} videos after it. Run again with "
                    "fewer --workers to go on; move the video away if it dies again."
                ) from None

    try:
        yield outcomes()
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _encode(path: str, short_side: int, jpeg_quality: int) -> Outcome:
    try:
        return encode_video(path, short_side, jpeg_quality)
    except VideoError as error:
        # rejects.csv names the file by its id: no need of its path in the reason.
        return str(error).removesuffix(f": {path}")


def _write_shard(
    out: pathlib.Path,
    shard: PlannedShard,
    outcomes: Iterator[tuple[VideoEntry, Outcome]],
    class_ids: dict[str, int],
) -> dict[str, Any]:
    import tensorflow as tf

    from keras_t3d.data.shards.record import make_record

    per_class: dict[str, int] = {}
    rejects: list[dict[str, str]] = []
    damaged: list[dict[str, str]] = []
    path = out / shard.name
    with written_beside(path) as part, tf.io.TFRecordWriter(str(part)) as writer:
        for _ in shard.entries:
            entry, outcome = next(outcomes)
            if isinstance(outcome, str):
                reject = Reject(entry.video_id, "decode", outcome)
                rejects.append(dataclasses.asdict(reject))
                continue
            if outcome.damage is not None:
                damaged.append({"video": entry.video_id, "reason": outcome.damage})
            record = make_record(outcome, entry.video_id, entry.label, class_ids[entry.label])
            writer.write(record)
            per_class[entry.label] = per_class.get(entry.label, 0) + 1
    return {
        "name": shard.name,
        "split": shard.split,
        "examples": sum(per_class.values()),
        "bytes": path.stat().st_size,
        "sha256": checksum(path),
        "per_class": per_class,
        "rejects": rejects,
        "damaged": damaged,
    }


# What is written beside the shards.


def _manifest(
    listing: Listing,
    options: dict[str, Any],
    done: list[dict[str, Any]],
    rejects: list[Reject],
) -> dict[str, Any]:
    splits = {}
    for split in SPLITS:
        shards = [shard for shard in done if shard["split"] == split]
        per_class = {
            name: sum(shard["per_class"].get(name, 0) for shard in shards)
            for name in listing.class_names
        }
        splits[split] = {"videos": sum(per_class.values()), "per_class": per_class}
    fields = ("name", "split", "examples", "bytes", "sha256")
    return {
        "format": _FORMAT,
        "options": options,
        "num_classes": len(listing.class_names),
        "listed": len(listing.entries) + len(listing.rejects),
        "rejected": len(rejects),
        "splits": splits,
        "damaged": [video for shard in done for video in shard["damaged"]],
        "shards": [{field: shard[field] for field in fields} for shard in done],
    }


def _rejects_csv(rejects: list[Reject]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "stage", "reason"])
    writer.writerows((reject.source, reject.stage, reject.reason) for reject in rejects)
    return text.getvalue()
