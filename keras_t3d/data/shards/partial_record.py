"""Reads parts of a record: first its context, then single frames on demand."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, BinaryIO, overload

from google.protobuf.message import DecodeError

from keras_t3d.data.shards.errors import RecordError
from keras_t3d.data.shards.record import (
    FRAMES,
    INDEX,
    FeatureLists,
    SequenceExample,
    StoredVideo,
    described_video,
    stored_times,
    stored_video,
)
from keras_t3d.data.shards.record_file import read_record, record_length
from keras_t3d.data.shards.record_index import FrameIndex

_HEADER = 12  # bytes before a record's data
_HEAD = 2**14  # bytes to read first: the context of most records
_SPARSE = 4  # frames among so many times their bytes are read one by one
_CONTEXT_TAG, _FEATURE_LISTS_TAG = b"\x0a", b"\x12"


def open_video(path: str | os.PathLike[str], offset: int) -> StoredVideo:
    """Reads a record, and its frames and times as they are asked for.

    A record is read as a whole if it has no index, as those of others, or another program has
    changed what the index describes. Then its checksum tells whether it is damaged.

    Args:
        path: path of a TFRecord file.
        offset: offset of the record, in bytes.

    Returns:
        A StoredVideo, which keeps the file open. Asking for a damaged frame raises a RecordError.

    Raises:
        RecordError: if the record is damaged, except in frames and times, or is no video.
    """
    record = _Record(open(path, "rb"), int(offset))  # noqa: SIM115 - closed with the record
    head = record.read(0, _HEAD)
    end = _end_of_context(head)
    if end + _HEADER > len(head):  # the tag of the next field follows
        head = record.read(0, end + _HEADER)
    context = _context(head[:end])
    index = None if context is None else _index(context)
    if context is None or index is None or head[end : end + 1] != _FEATURE_LISTS_TAG:
        return record.whole
    frames = _Frames(record, _varint(head, end + 1)[1], index)
    return described_video(context, frames, _Times(frames))


def take_frames(video: StoredVideo, numbers: Sequence[int]) -> list[bytes]:
    """Returns some frames of a video, in few reads if it was opened by `open_video`."""
    frames = video.frames
    return frames.at(numbers) if isinstance(frames, _Frames) else [frames[n] for n in numbers]


def _end_of_context(head: bytes) -> int:
    """Returns where the context ends, which is the first field; 0 if another one is."""
    if head[:1] != _CONTEXT_TAG:
        return 0
    length, header = _varint(head, 1)
    return header + length


def _context(head: bytes) -> Any:
    """Returns the message Features of a record's beginning; None if it is none."""
    try:
        return SequenceExample.FromString(head).context
    except DecodeError:
        return None


def _index(context: Any) -> FrameIndex | None:
    """Takes the index out of a context and returns it; None without one of this context."""
    if INDEX not in context.feature:
        return None
    packed = context.feature[INDEX].bytes_list.value
    del context.feature[INDEX]
    others = context.SerializeToString(deterministic=True)
    return FrameIndex.unpacked(packed[0], others) if len(packed) == 1 else None


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Returns a number, and where it ends."""
    value = shift = 0
    while place < len(content):
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return value, place


class _Record:
    """A record in a file, which is closed when nothing refers to the record."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file, self._offset = file, offset
        self.length = record_length(file, offset)

    def read(self, begin: int, size: int) -> bytes:
        """Returns bytes of the record's data."""
        self._file.seek(self._offset + _HEADER + begin)
        return self._file.read(min(size, self.length - begin))

    @functools.cached_property
    def whole(self) -> StoredVideo:
        """The record, read and verified as a whole."""
        return stored_video(read_record(self._file, self._offset))

    def __del__(self) -> None:
        self._file.close()


class _Frames(Sequence[bytes]):
    """The frames of a record, each read and checked when it is asked for."""

    def __init__(self, record: _Record, begin: int, index: FrameIndex) -> None:
        self._record, self._begin, self._index = record, begin, index
        self._places, end = index.places(FRAMES)  # bytes from `begin` on
        self._end = begin + end

    def __len__(self) -> int:
        return len(self._index.sizes)

    @overload
    def __getitem__(self, number: int) -> bytes: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[bytes]: ...
    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        return self.at([range(len(self))[number]])[0]

    def at(self, numbers: Sequence[int]) -> list[bytes]:
        """Returns some frames, read together if they lie close to each other."""
        begins, sizes = self._places[numbers], self._index.sizes[numbers]
        first, end = int(begins.min()), int((begins + sizes).max())
        if end - first > _SPARSE * sizes.sum():
            return [self[number] for number in numbers]
        content = self._record.read(self._begin + first, end - first)
        places = zip((begins - first).tolist(), sizes.tolist(), strict=True)
        frames = [content[begin : begin + size] for begin, size in places]
        if not all(map(self._index.is_intact, numbers, frames)):
            whole = self._whole().frames
            return [whole[number] for number in numbers]
        return frames

    def times(self) -> Sequence[int]:
        """Returns the times of the frames."""
        content = self._record.read(self._end, self._record.length - self._end)
        if not self._index.is_intact(len(self), content):
            return self._whole().times
        return stored_times(FeatureLists.FromString(content))

    def are_timed(self) -> bool:
        """Returns whether anything follows the frames."""
        return self._end < self._record.length

    def _whole(self) -> StoredVideo:
        """Returns the record if it is intact, and so the index is not."""
        video = self._record.whole
        if len(video.frames) != len(self):
            raise RecordError(f"The index of {video.video_id!r} is of other frames: remove {INDEX}")
        return video


class _Times(Sequence[int]):
    """The times of the frames of a record, all of them read when one is asked for."""

    def __init__(self, frames: _Frames) -> None:
        self._frames = frames

    @functools.cached_property
    def _values(self) -> Sequence[int]:
        return self._frames.times()

    def __len__(self) -> int:
        return len(self._frames) if self._frames.are_timed() else 0

    @overload
    def __getitem__(self, number: int) -> int: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[int]: ...
    def __getitem__(self, number: Any) -> Any:
        return self._values[number]
