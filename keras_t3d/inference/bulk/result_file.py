"""Writes the results of many videos to a file, and resumes where a killed call stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_t3d.artifact_files import files_of_model, is_on_hub, model_file
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
        path: the file; its address, if it is in a bucket.
        videos: number of videos in it.
        unreadable: number of those that cannot be read; their rows hold the reason.
        damaged: number of those of which a part does not decode; their rows hold what.
    """

    path: pathlib.Path | str
    videos: int
    unreadable: int
    damaged: int


@dataclasses.dataclass(frozen=True)
class Computation:
    """What is computed of each video, and how a result becomes a row."""

    function: Function
    clip_spec: ClipSpec
    row: Callable[[VideoResult], Row]

    def rows(
        self, videos: Sequence[VideoEntry], options: BulkOptions, done: Sequence[int] = ()
    ) -> Iterator[Row]:
        """Yields the rows of videos; see `video_results` for the arguments."""
        results = video_results(self.function, self.clip_spec, videos, options, done)
        return map(self.row, results)


@dataclasses.dataclass(frozen=True)
class Work:
    """What is computed of videos, and the files that hold it.

    Args:
        name: what it is, for messages, and to tell it from other work.
        load: returns what to compute with a model. Workers of a cluster receive it pickled.
        writers: what writes a file, by an example of its name.
        settings: what else the rows depend on, by the names of arguments.
    """

    name: str
    load: Callable[[Any], Computation]
    writers: Mapping[str, Callable[[Rows, pathlib.Path], None]]
    settings: Mapping[str, Any]

    def check_out(self, out: str | os.PathLike[str]) -> None:
        """Checks the path of a file to write.

        Raises:
            InvalidArgumentError: if its suffix is none of those that can be written.
            MissingPackageError: if it is a Parquet file and pyarrow is not installed.
        """
        check_file_path(out, "out", *self.writers)
        if pathlib.Path(out).suffix.lower() == ".parquet":
            check_parquet()

    def write(self, rows: Rows, path: pathlib.Path) -> BulkReport:
        """Writes a file, which appears whole."""
        suffix = path.suffix.lower()
        write = next(write for name, write in self.writers.items() if name.endswith(suffix))
        write(rows, path)
        videos = unreadable = damaged = 0
        for row in rows():
            videos += 1
            unreadable += row["error"] is not None
            damaged += row["damage"] is not None
        return BulkReport(path, videos, unreadable, damaged)


def write_results(
    work: Work,
    model: Any,
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions,
    progress: Progress | None,
) -> BulkReport:
    """Computes the rows that are missing, then writes the file, which appears whole.

    Args:
        work: what to compute.
        model: as the caller received it.
        videos: see `named_videos`.
        out: path of the file.
        options: BulkOptions.
        progress: called with (videos done, videos in all).
    """
    work.check_out(out)
    path = pathlib.Path(out)
    listed = named_videos(videos)
    model = model_file(model) if isinstance(model, (str, os.PathLike)) else model
    computation = work.load(model)
    with opened_part(path, identity_of(work, model, listed, options)) as part:
        for row in computation.rows(listed, options, part.num_views):
            part.append(row)
            if progress is not None:
                progress(len(part.num_views), len(listed))
        return work.write(part.rows, path)


def identity_of(
    work: Work, model: Any, videos: Sequence[VideoEntry], options: BulkOptions
) -> dict[str, Any]:
    """Returns what the rows depend on, as JSON values by name."""
    return {
        "work": work.name,
        "model": _model_digest(model),
        "videos": _videos_digest(videos),
        "num_views": options.num_views,
        "batch_size": options.batch_size,
        **work.settings,
    }


def _model_digest(model: Any) -> str:
    """Returns a hash of a model's files; of its classes and ClipSpec, if it is in memory; of its
    address, if it is on a Hub."""
    if not isinstance(model, str):
        return _digest([json.dumps([list(model.class_names), model.clip_spec.get_config()])])
    if is_on_hub(model):
        return _digest([model])
    return _digest(checksum(file) for file in files_of_model(model))


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
