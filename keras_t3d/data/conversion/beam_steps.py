"""The steps of a conversion with Apache Beam, as its workers run them.

```
plan file -> lines -> pieces of videos, by shard -> shards
```

A piece is (position of the video in its shard, number, data): piece 0 holds the video and its
outcome, the others its records. So no step holds more than one record.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from keras_t3d.data.conversion.beam_folder import BeamFolder
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import summarize_shard, summary_file
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.record_file import framed, read_record, record_offsets
from keras_t3d.data.sources.listing import VideoEntry

Piece = tuple[int, int, bytes]


def plan_lines(
    shards: Sequence[PlannedShard],
    class_ids: Mapping[str, int],
    path_of_workers: Callable[[str], str],
) -> Iterator[str]:
    """Yields a line for each video to decode; the workers read them from a file.

    A pipeline that holds all videos itself may exceed the size limit of a runner.
    """
    for shard in shards:
        for place, entry in enumerate(shard.entries):
            task = {
                "shard": shard.name,
                "place": place,
                "label_index": class_ids[entry.label],
                "entry": {**dataclasses.asdict(entry), "path": path_of_workers(entry.path)},
            }
            yield json.dumps(task) + "\n"


def read_lines(path: str) -> Iterator[str]:
    """Yields the lines of a plan file."""
    with FileSystems.open(path) as file:
        for line in file:
            yield line.decode("ascii")


@beam.typehints.with_output_types(tuple[str, Piece])
class DecodeVideo(beam.DoFn):
    """Converts a line of the plan to the pieces of a video, each with the name of its shard."""

    def __init__(self, options: ConversionOptions) -> None:
        self._options = options

    def setup(self) -> None:
        self._decoder = IsolatedDecoder(self._options.time_limit)

    def teardown(self) -> None:
        self._decoder.stop()

    def process(self, line: str) -> Iterator[tuple[str, Piece]]:
        task = json.loads(line)
        shard, place = task["shard"], task["place"]
        entry = VideoEntry(**task["entry"])
        with tempfile.TemporaryDirectory(prefix="keras_t3d-") as folder:
            local = dataclasses.replace(entry, path=_local_path(entry.path, folder))
            path = pathlib.Path(folder) / "records.tfrecord"
            outcome = self._decoder.write_records(local, task["label_index"], self._options, path)
            header = {"entry": task["entry"], "outcome": dataclasses.asdict(outcome)}
            yield shard, (place, 0, json.dumps(header).encode("ascii"))
            if outcome.records:
                with path.open("rb") as file:
                    for number, offset in enumerate(record_offsets(path), 1):
                        yield shard, (place, number, read_record(file, int(offset)))


class WriteShard(beam.DoFn):
    """Writes a shard and its summary from the pieces of its videos, in any order."""

    def __init__(self, folder: BeamFolder) -> None:
        self._folder = folder

    def process(self, shard: tuple[str, Iterable[Piece]]) -> None:
        name, pieces = shard
        with tempfile.TemporaryDirectory(prefix="keras_t3d-") as folder:
            path = pathlib.Path(folder) / name
            videos = _write_in_order(pieces, path)
            entries = tuple(entry for entry, _ in videos)
            planned = PlannedShard(name, entries[0].split, entries, path.stat().st_size)
            summary = summarize_shard(path, planned, [outcome for _, outcome in videos])
            with path.open("rb") as file:
                self._folder.write(name, file)
            text = json.dumps(summary).encode()
            self._folder.write(summary_file(name), io.BytesIO(text))


def _local_path(path: str, folder: str) -> str:
    """Returns a local path of a video, which is fetched to `folder` if it is in a bucket.

    The decoder rejects a video that no longer exists.
    """
    if not is_address(path):
        if not os.path.exists(path):
            _check_visible(path)
        return path
    copy = os.path.join(folder, path.rpartition("/")[2])
    if not FileSystems.exists(path):
        _check_visible(path)
        return copy
    with FileSystems.open(path, compression_type="uncompressed") as video, open(copy, "wb") as file:
        shutil.copyfileobj(video, file, 2**20)
    return copy


def _check_visible(path: str) -> None:
    """Raises a ConversionError if the folder of a missing video is empty or missing.

    Then the worker does not see the videos, which is no reason to reject them.
    """
    folder = path.rpartition("/")[0]
    if is_address(path):
        is_visible = bool(FileSystems.match([f"{folder}/*"], [1])[0].metadata_list)
    else:
        is_visible = os.path.isdir(folder) and bool(os.listdir(folder))
    if not is_visible:
        raise ConversionError(
            f"The worker {socket.gethostname()} does not see {path}, nor other files in its "
            "folder: the videos must be at the same path on all workers, or in a bucket"
        )


def _write_in_order(
    pieces: Iterable[Piece], path: pathlib.Path
) -> list[tuple[VideoEntry, Outcome]]:
    """Writes the records of all videos to a file in order, and returns the videos in order."""
    videos: dict[int, tuple[VideoEntry, Outcome]] = {}
    framed_at: dict[tuple[int, int], tuple[int, int]] = {}
    with tempfile.TemporaryFile(dir=path.parent) as arrived, path.open("wb") as file:
        for place, number, data in pieces:
            if number == 0:
                header = json.loads(data)
                videos[place] = VideoEntry(**header["entry"]), Outcome(**header["outcome"])
            else:
                framed_at[place, number] = arrived.tell(), arrived.write(framed(data))
        for _, (offset, size) in sorted(framed_at.items()):
            arrived.seek(offset)
            file.write(arrived.read(size))
    return [video for _, video in sorted(videos.items())]
