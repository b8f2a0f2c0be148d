"""One listed video to a file of records: what every runner of a conversion does with it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

from keras_t3d.atomic import written_beside
from keras_t3d.data.conversion.encode import encode_parts
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.reader import VideoReader


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """What a conversion makes of every video.

    Attributes:
        short_side: int. Frames are shrunk to this short side, in pixels.
        jpeg_quality: int, 1 to 100.
        max_seconds: float. Longer videos are cut into several records.
    """

    short_side: int = 128
    jpeg_quality: int = 90
    max_seconds: float = 30.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Attributes:
        records: int. Records written: none where the video is rejected.
        damage: str or None. Why fewer frames came than the file promises, or its span asks for.
        reason: str or None. Why the video is rejected.
    """

    records: int = 0
    damage: str | None = None
    reason: str | None = None


def write_video_records(
    entry: VideoEntry,
    label_index: int,
    options: RecordOptions,
    path: str | os.PathLike[str],
    frame_decoded: Callable[[], None],
) -> Outcome:
    """Decodes a video and writes its records to a file of their own.

    A video of several records gives them the ids `<video id>#0`, `#1` and so on.

    Args:
        entry: VideoEntry.
        label_index: int. Class id of its label; -1 where it has none.
        options: RecordOptions.
        path: path of the TFRecord file. It is whole or absent.
        frame_decoded: called after every frame.

    Returns:
        An Outcome.
    """
    try:
        with (
            # One thread, as the workers fill the cores.
            VideoReader(entry.path, 1, entry.start, entry.end, frame_decoded) as reader,
            written_beside(path) as part,
            RecordWriter(part) as writer,
        ):
            records = _numbered(encode_parts(reader, reader.fps, **dataclasses.asdict(options)))
            written = 0
            for video, number in records:
                record_id = entry.video_id if number is None else f"{entry.video_id}#{number}"
                writer.write(make_record(video, record_id, entry.label, label_index))
                written += 1
            return Outcome(written, reader.damage)
    except VideoError as error:
        # rejects.csv names the file by its id: no need of its path in the reason.
        return Outcome(reason=str(error).removesuffix(f": {entry.path}"))


def _numbered(parts: Iterator[EncodedVideo]) -> Iterator[tuple[EncodedVideo, int | None]]:
    """Numbers the parts of a video; the only part of one has None."""
    part = next(parts)
    after = next(parts, None)
    number = None if after is None else 0
    yield part, number
    while after is not None and number is not None:
        part, number = after, number + 1
        after = next(parts, None)
        yield part, number
