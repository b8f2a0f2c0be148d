"""Decodes one listed video and writes its records to a file."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable

import av

from keras_t3d.atomic import written_beside
from keras_t3d.data.conversion.encode import encode_parts
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.shards.record import make_record
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.decoding import why_unreadable
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Result of converting one video.

    Attributes:
        records: number of records written; 0 if the video is rejected.
        damage: see `keras_t3d.data.Video`; None if the video is complete.
        reason: why the video is rejected; None if it is not.
        note: what else a user should know; None for nothing.
    """

    records: int = 0
    damage: str | None = None
    reason: str | None = None
    note: str | None = None


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
        entry: the video or span.
        label_index: class id of its label; -1 if it has none.
        options: size, quality and length of the records.
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
            parts = encode_parts(reader.timed(), reader.header.fps, options)
            first = list(itertools.islice(parts, 2))
            written = 0
            for video in itertools.chain(first, parts):
                record_id = entry.video_id if len(first) == 1 else f"{entry.video_id}#{written}"
                writer.write(make_record(video, record_id, entry.label, label_index))
                written += 1
            several = f"the default of its {reader.num_streams} video streams was read"
            note = several if reader.num_streams > 1 else None
            return Outcome(written, reader.damage, note=note)
    # FFmpeg's errors are OSErrors, but of the video, not of the machine.
    except (VideoError, av.FFmpegError) as error:
        return Outcome(reason=why_unreadable(error, entry.path))
