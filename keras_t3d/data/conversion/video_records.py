"""Decodes one listed video and writes its records to a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

from keras_t3d.atomic import written_beside
from keras_t3d.data.conversion.encode import encode_parts
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Result of converting one video.

    Attributes:
        records: number of records written; 0 if the video is rejected.
        damage: see `keras_t3d.data.Video`; None if the video is complete.
        reason: why the video is rejected; None if it is not.
    """

    records: int = 0
    damage: str | None = None
    reason: str | None = None


def write_video_records(
    entry: VideoEntry,
    label_index: int,
    options: ConversionOptions,
    path: str | os.PathLike[str],
    frame_decoded: Callable[[], None],
) -> Outcome:
    """Decodes a video and writes its records to a file of their own.

    The records of a video that is cut have the ids `<video id>#0`, `#1` and so on.

    Args:
        entry: VideoEntry.
        label_index: class id of its label; -1 if it has none.
        options: ConversionOptions.
        path: path of the TFRecord file, which is written completely or not at all.
        frame_decoded: called after every frame.

    Returns:
        An Outcome.
    """
    try:
        with (
            # One thread: there is a process per core.
            VideoReader(entry.path, 1, entry.start, entry.end, frame_decoded) as reader,
            written_beside(path) as part,
            RecordWriter(part) as writer,
        ):
            records = _numbered(encode_parts(reader.timed(), reader.header.fps, options))
            written = 0
            for video, number in records:
                record_id = entry.video_id if number is None else f"{entry.video_id}#{number}"
                writer.write(make_record(video, record_id, entry.label, label_index))
                written += 1
            return Outcome(written, reader.damage)
    except VideoError as error:
        # rejects.csv names the file, so the reason need not.
        return Outcome(reason=str(error).removesuffix(f": {entry.path}"))


def _numbered(parts: Iterator[EncodedVideo]) -> Iterator[tuple[EncodedVideo, int | None]]:
    """Yields the parts of a video with their numbers; None for a single part."""
    part = next(parts)
    after = next(parts, None)
    number = None if after is None else 0
    yield part, number
    while after is not None and number is not None:
        part, number = after, number + 1
        after = next(parts, None)
        yield part, number
