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
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import apache_beam as beam

from keras_t3d.data.beam.folder import BeamFolder
from keras_t3d.data.beam.videos import local_path
from keras_t3d.data.conversion.isolated_decoder import IsolatedDecoder
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import summarize_shard, summary_file
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.conversion.video_records import Outcome
from keras_t3d.data.shards.record_file import framed, read_record, record_offsets
from keras_t3d.data.sources.listing import VideoEntry

Piece = tuple[int, int, bytes]


def plan_lines(
    shards: Sequence[PlannedShard],
    class_ids: Mapping[str, int],
    path_of_workers: Callable[[str], str],
) -> Iterator[str]:
    """Yields a line for each video to decode."""
    for shard in shards:
        for place, entry in enumerate(shard.entries):
            task = {
                "shard": shard.name,
                "place": place,
                "label_index": class_ids[entry.label],
                "entry": {**dataclasses.asdict(entry), "path": path_of_workers(entry.path)},
            }
            yield json.dumps(task) + "\n"


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
            local = dataclasses.replace(entry, path=local_path(entry.path, folder))
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
