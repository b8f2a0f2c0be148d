"""Reads parts of a record: what it says of its video, then the frames that are asked for."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, overload

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
_CONTEXT_TAG, _FEATURE_LISTS_TAG = 0x0A, 0x12


def open_video(path: str | os.PathLike[str], offset: int) -> StoredVideo:
    """Reads a record, and its frames and times as they are asked for.

    A record without an index, as others write them, is read as a whole.

    Args:
        path: path of a TFRecord file.
        offset: offset of the record, in bytes.

    Returns:
        A StoredVideo, which keeps the file open. Asking for a damaged frame raises a RecordError.

    Raises:
        RecordError: if the record is damaged, except in frames and times, or is no video.
    """
    opened = _OpenFile(os.open(path, os.O_RDONLY))
    with open(opened.descriptor, "rb", closefd=False) as file:
        length = record_length(file, offset)
        head = opened.read(offset + _HEADER, min(length, _HEAD))
        end = _end_of_context(head)
        if end is not None and end + _HEADER > len(head):  # room for the tag that follows
            head = opened.read(offset + _HEADER, min(length, end + _HEADER))
        context = None if end is None else _context(head[:end])
        if end is None or context is None or INDEX not in context.feature:
            return stored_video(read_record(file, offset))
    packed = context.feature[INDEX].bytes_list.value[0]
    del context.feature[INDEX]
    place = f"The record at byte {offset} of {os.fspath(path)}"
    try:
        index = FrameIndex.unpacked(packed, context.SerializeToString(deterministic=True))
    except RecordError as error:
        raise RecordError(f"{place} {error}") from None
    begin = offset + _HEADER + end + _after_field_header(head[end:])
    frames = _Frames(opened, begin, index, place)
    size = offset + _HEADER + length - begin - frames.end
    return described_video(context, frames, _Times(frames, size))


def take_frames(video: StoredVideo, numbers: Sequence[int]) -> list[bytes]:
    """Returns some frames of a video, in few reads if it was opened by `open_video`."""
    frames = video.frames
    return frames.at(numbers) if isinstance(frames, _Frames) else [frames[n] for n in numbers]


def _end_of_context(head: bytes) -> int | None:
    """Returns where the context ends, which is the first field; None if another one is."""
    if head[:1] != bytes([_CONTEXT_TAG]):
        return None
    length, header = _varint(head, 1)
    return header + length


def _context(head: bytes) -> Any:
    try:
        return SequenceExample.FromString(head).context
    except DecodeError:
        return None


def _after_field_header(content: bytes) -> int:
    """Returns where the message FeatureLists begins, after its tag and length."""
    if content[:1] != bytes([_FEATURE_LISTS_TAG]):
        raise RecordError(f"A record must hold JPEG frames in the feature list {FRAMES!r}.")
    return _varint(content, 1)[1]


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


class _OpenFile:
    """A file that is closed when nothing refers to it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def __del__(self) -> None:
        os.close(self.descriptor)


class _Frames(Sequence[bytes]):
    """The frames of a record, each read and checked when it is asked for."""

    def __init__(self, file: _OpenFile, begin: int, index: FrameIndex, place: str) -> None:
        self._file, self._begin, self._index, self._place = file, begin, index, place
        self._places, self.end = index.places(FRAMES)  # bytes from `begin` on

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
        content = self._file.read(self._begin + first, end - first)
        frames = []
        for number, begin, size in zip(
            numbers, (begins - first).tolist(), sizes.tolist(), strict=True
        ):
            frames.append(content[begin : begin + size])
            if not self._index.is_intact(number, frames[-1]):
                raise RecordError(f"{self._place} is damaged: frame {number} has another checksum")
        return frames

    def rest(self, size: int) -> bytes:
        """Returns what follows the frames in the record, of this many bytes."""
        content = self._file.read(self._begin + self.end, size)
        if not self._index.is_intact(len(self), content):
            raise RecordError(f"{self._place} is damaged: its times have another checksum")
        return content


class _Times(Sequence[int]):
    """The times of the frames of a record, all of them read when one is asked for."""

    def __init__(self, frames: _Frames, size: int) -> None:
        self._frames, self._size = frames, size

    @functools.cached_property
    def _values(self) -> tuple[int, ...]:
        return stored_times(FeatureLists.FromString(self._frames.rest(self._size)))

    def __len__(self) -> int:
        return len(self._frames) if self._size else 0

    @overload
    def __getitem__(self, number: int) -> int: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[int]: ...
    def __getitem__(self, number: Any) -> Any:
        return self._values[number]
