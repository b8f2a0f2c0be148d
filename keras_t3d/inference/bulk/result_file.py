"""Writes the results of many videos to a file, and resumes where a killed call stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_t3d.artifact_files import is_on_hub, model_file
from keras_t3d.atomic import check_file_path
from keras_t3d.clips import ClipSpec
from keras_t3d.data.shards.shard import checksum
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.sources.named_videos import VideoSource, named_videos
from keras_t3d.inference.bulk.engine import Function, VideoResult, video_results
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.part_file import Row, opened_part
from keras_t3d.inference.bulk.tables import check_parquet
from keras_t3d.progress import Progress

Rows = Callable[[], Iterator[Row]]


@dataclasses.dataclass(frozen=True)
class BulkReport:
    """Result of writing the predictions or embeddings of many videos.

    Attributes:
        path: the file.
        videos: number of videos in it.
        unreadable: number of those that cannot be read; their rows hold the reason.
        damaged: number of those of which a part does not decode; their rows hold what.
    """

    path: pathlib.Path
    videos: int
    unreadable: int
    damaged: int


@dataclasses.dataclass(frozen=True)
class Computation:
    """What is computed of each video, and how a result becomes a row."""

    function: Function
    clip_spec: ClipSpec
    row: Callable[[VideoResult], Row]


def write_results(
    out: str | os.PathLike[str],
    writers: Mapping[str, Callable[[Rows, pathlib.Path], None]],
    model: Any,
    load: Callable[[Any], Computation],
    videos: VideoSource,
    options: BulkOptions,
    settings: Mapping[str, Any],
    progress: Progress | None,
) -> BulkReport:
    """Computes the rows that are missing, then writes the file, which appears whole.

    Args:
        out: path of the file.
        writers: what writes it, by an example of its name.
        model: as the caller received it.
        load: returns what to compute with the model.
        videos: see `named_videos`.
        options: BulkOptions.
        settings: what else the rows depend on, by the names of arguments.
        progress: called with (videos done, videos in all).
    """
    check_file_path(out, "out", *writers)
    path = pathlib.Path(out)
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        check_parquet()
    listed = named_videos(videos)
    model = model_file(model) if isinstance(model, (str, os.PathLike)) else model
    computation = load(model)
    identity = {
        "model": _model_digest(model),
        "videos": _videos_digest(listed),
        "num_views": options.num_views,
        "batch_size": options.batch_size,
        **settings,
    }
    with opened_part(path, identity) as part:
        function, clip_spec = computation.function, computation.clip_spec
        for result in video_results(function, clip_spec, listed, options, part.num_views):
            part.append(computation.row(result))
            if progress is not None:
                progress(len(part.num_views), len(listed))
        write = next(write for name, write in writers.items() if name.endswith(suffix))
        write(part.rows, path)
        return _report(path, part.rows())


def _report(path: pathlib.Path, rows: Iterable[Row]) -> BulkReport:
    videos = unreadable = damaged = 0
    for row in rows:
        videos += 1
        unreadable += row["error"] is not None
        damaged += row["damage"] is not None
    return BulkReport(path, videos, unreadable, damaged)


def _model_digest(model: Any) -> str:
    """Returns a hash of a model's files; of its classes and ClipSpec, if it is in memory; of its
    address, if it is on a Hub."""
    if not isinstance(model, str):
        return _digest([json.dumps([list(model.class_names), model.clip_spec.get_config()])])
    if is_on_hub(model):
        return _digest([model])
    path = pathlib.Path(model)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return _digest(checksum(file) for file in files if file.is_file())


def _videos_digest(videos: Sequence[VideoEntry]) -> str:
    """Returns the number of videos, and a hash of their names, places and sizes."""
    digest = _digest(
        json.dumps([video.video_id, video.path, video.start, video.end, _size(video.path)])
        for video in videos
    )
    return f"{len(videos)} of {digest}"


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()[:16]


def _size(path: str) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None
