"""The steps of a conversion under Apache Beam, as its workers run them.

```
plan file -> lines -> pieces of videos, by shard -> shards
```

A piece is (place of the video in its shard, number, data): piece 0 says which video it is
and what became of it, the others are its records. So no step holds more than one record.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from keras_t3d.data.conversion.beam_folder import BeamFolder, is_in_bucket
from keras_t3d.data.conversion.folder import summarize_shard
from keras_t3d.data.conversion.isolation import ConversionError, IsolatedDecoder
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome, RecordOptions
from keras_t3d.data.shards.record_file import framed, read_record, record_offsets
from keras_t3d.data.sources.listing import VideoEntry

Piece = tuple[int, int, bytes]


def plan_lines(shards: Sequence[PlannedShard], class_ids: Mapping[str, int]) -> Iterator[str]:
    """Yields a line for each video to decode; the workers read them from a file.

    In a file, as a pipeline that names all the videos itself may be larger than a runner takes.
    """
    for shard in shards:
        for place, entry in enumerate(shard.entries):
            task = {
                "shard": shard.name,
                "place": place,
                "label_index": class_ids[entry.label],
                "entry": dataclasses.asdict(entry),
            }
            yield json.dumps(task) + "\n"


def read_lines(path: str) -> Iterator[str]:
    """Yields the lines of a plan file."""
    with FileSystems.open(path) as file:
        for line in file:
            yield line.decode("ascii")


@beam.typehints.with_output_types(tuple[str, Piece])
class DecodeVideo(beam.DoFn):
    """One line of the plan to the pieces of a video, each with the name of its shard.

    Args:
        options: RecordOptions.
        time_limit: float. See `IsolatedDecoder`.
    """

    def __init__(self, options: RecordOptions, time_limit: float) -> None:
        self._options = options
        self._time_limit = time_limit

    def setup(self) -> None:
        self._decoder = IsolatedDecoder(self._time_limit)

    def teardown(self) -> None:
        self._decoder.stop()

    def process(self, line: str) -> Iterator[tuple[str, Piece]]:
        task = json.loads(line)
        shard, place = task["shard"], task["place"]
        entry = VideoEntry(**task["entry"])
        with tempfile.TemporaryDirectory(prefix="keras_t3d-") as folder:
            here = dataclasses.replace(entry, path=_on_this_disk(entry.path, folder))
            path = pathlib.Path(folder) / "records.tfrecord"
            outcome = self._decoder.write_records(here, task["label_index"], self._options, path)
            said = {"entry": task["entry"], "outcome": dataclasses.asdict(outcome)}
            yield shard, (place, 0, json.dumps(said).encode("ascii"))
            if outcome.records:
                with path.open("rb") as file:
                    for number, offset in enumerate(record_offsets(path), 1):
                        yield shard, (place, number, read_record(file, int(offset)))


class WriteShard(beam.DoFn):
    """The pieces of a shard's videos, in any order, to the shard and its summary.

    Args:
        folder: BeamFolder.
    """

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
            self._folder.keep_summary(summary)


def _on_this_disk(path: str, folder: str) -> str:
    """Fetches a video that lies in a bucket; gives where it can be read.

    One that is gone is not there either: its decoder rejects it, as that of the local runner.
    """
    if not is_in_bucket(path):
        if not os.path.exists(path):
            _check_seen(path)
        return path
    copy = os.path.join(folder, path.rpartition("/")[2])
    if not FileSystems.exists(path):
        _check_seen(path)
        return copy
    with FileSystems.open(path, compression_type="uncompressed") as video, open(copy, "wb") as file:
        shutil.copyfileobj(video, file, 2**20)
    return copy


def _check_seen(path: str) -> None:
    """Raises a ConversionError where no other video lies where one that is absent should.

    Then it is the worker that does not see the videos, and none of them is a reject for that.
    """
    folder = path.rpartition("/")[0]
    if is_in_bucket(path):
        seen = bool(FileSystems.match([f"{folder}/*"], [1])[0].metadata_list)
    else:
        seen = os.path.isdir(folder) and bool(os.listdir(folder))
    if not seen:
        raise ConversionError(
            f"The worker {socket.gethostname()} does not see {path}, nor anything beside it: the "
            "videos must lie at the same path on all workers, or in a bucket"
        )


def _write_in_order(
    pieces: Iterable[Piece], path: pathlib.Path
) -> list[tuple[VideoEntry, Outcome]]:
    """Writes the records of all videos to a file in their order; gives the videos in theirs."""
    videos: dict[int, tuple[VideoEntry, Outcome]] = {}
    framed_at: dict[tuple[int, int], tuple[int, int]] = {}
    with tempfile.TemporaryFile(dir=path.parent) as arrived, path.open("wb") as file:
        for place, number, data in pieces:
            if number == 0:
                said = json.loads(data)
                videos[place] = VideoEntry(**said["entry"]), Outcome(**said["outcome"])
            else:
                framed_at[place, number] = arrived.tell(), arrived.write(framed(data))
        for _, (offset, size) in sorted(framed_at.items()):
            arrived.seek(offset)
            file.write(arrived.read(size))
    return [video for _, video in sorted(videos.items())]
