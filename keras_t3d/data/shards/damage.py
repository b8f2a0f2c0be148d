"""Finds the intact records of a split, and names the damaged ones in errors."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from keras_t3d.data.shards.errors import RecordError, ShardError
from keras_t3d.data.shards.labels import LABEL_MISMATCH, label_mismatch
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.partial_record import open_video
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import read_record, record_length, record_offsets
from keras_t3d.data.shards.shard import Shard
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError

_FRAMING = 16  # bytes of a record that are not its data


@dataclasses.dataclass(frozen=True)
class SplitRecords:
    """The records of a split that are read.

    Attributes:
        shards: the shards of the split that hold records.
        examples: number of records to read from each shard.
        offsets: int64 array of the offsets of these records, in bytes, for each shard. None if
            all records are read, one after the other.
    """

    shards: tuple[Shard, ...]
    examples: tuple[int, ...]
    offsets: tuple[np.ndarray, ...] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the shards."""
        return tuple(str(shard.path) for shard in self.shards)

    @property
    def num_videos(self) -> int:
        """Number of records in all shards."""
        return sum(self.examples)

    def offsets_in(self, shard: int) -> np.ndarray:
        """Returns the offsets of a shard's records, in bytes; reads their headers if need be.

        Raises:
            ShardError: if a header is damaged, or records are missing.
        """
        if self.offsets is not None:
            return self.offsets[shard]
        path, expected = self.paths[shard], self.examples[shard]
        try:
            offsets = record_offsets(path)
        except RecordError as error:
            raise damaged_shard(str(error)) from None
        if len(offsets) < expected:
            raise damaged_shard(f"{path} ends after {len(offsets)} of {expected} records")
        return offsets

    def read_video(self, shard: int, record: int, offset: int) -> StoredVideo:
        """Reads a record of a shard, which is at this offset, in bytes.

        Raises:
            ShardError: if the record is damaged.
        """
        with self._named(shard, record), open(self.paths[shard], "rb") as file:
            return stored_video(read_record(file, int(offset)))

    @contextlib.contextmanager
    def opened_video(self, shard: int, record: int, offset: int) -> Iterator[StoredVideo]:
        """Yields what `read_video` returns, without its frames: each is read when asked for.

        Raises:
            ShardError: if what is read is damaged.
        """
        with self._named(shard, record):
            yield open_video(self.paths[shard], int(offset))

    @contextlib.contextmanager
    def _named(self, shard: int, record: int) -> Iterator[None]:
        try:
            yield
        except RecordError as error:
            path = self.paths[shard]
            raise damaged_shard(f"{path}, record {record}: {error}") from None


def split_records(shards: ShardSet, split: str, *, skip_damaged: bool = False) -> SplitRecords:
    """Returns the records of a split to read.

    Args:
        shards: shards in a folder, in an object store or of another program.
        split: `"train"`, `"val"` or `"test"`.
        skip_damaged: whether to leave out records with wrong checksums, for which every shard is
            read once now; a warning names them. Otherwise all records are returned, and damage
            is found when a record is read.

    Raises:
        InvalidArgumentError: if no record is left, or damaged records are to be skipped in an
            object store.
    """
    shards.check_split(split)
    holding = tuple(shard for shard in shards.shards if shard.split == split and shard.examples)
    whole = SplitRecords(holding, tuple(shard.examples for shard in holding))
    if not skip_damaged:
        return whole
    check_local(whole.paths, "on_damage='skip'")
    offsets, missing, places = [], 0, []
    for path, expected in zip(whole.paths, whole.examples, strict=True):
        found = os.stat(path)
        intact, reasons = _intact(path, found.st_mtime_ns, found.st_size)
        offsets.append(intact)
        missing += max(expected - len(intact), 0)
        places += reasons
        if not reasons and len(intact) < expected:
            places.append(f"{path} ends after {len(intact)} of {expected} records")
    if not places:
        return whole
    left = tuple(len(intact) for intact in offsets)
    if not sum(left):
        raise ShardError(f"Not one record of the split {split!r} can be read: {places[0]}")
    warnings.warn(
        f"{missing} of {whole.num_videos} records of the split {split!r} are damaged and left out: "
        f"{'; '.join(places)}",
        stacklevel=_callers_stacklevel(),
    )
    return SplitRecords(holding, left, tuple(offsets))


def _callers_stacklevel() -> int:
    """Returns the `stacklevel` with which a caller's warning names the line outside the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("keras_t3d."):
        level, frame = level + 1, frame.f_back
    return level


def check_local(paths: Iterable[str], reader: str) -> None:
    """Raises an InvalidArgumentError if shards that `reader` reads are in an object store."""
    remote = [path for path in paths if is_address(path)]
    if remote:
        raise InvalidArgumentError(
            f"{reader} reads local files: copy the shards to a folder first. Received: {remote[0]}"
        )


@functools.lru_cache(maxsize=4096)
def _intact(path: str, modified: int, size: int) -> tuple[np.ndarray, list[str]]:
    """Caches `intact_offsets` of an unchanged file, for all epochs."""
    return intact_offsets(path)


def intact_offsets(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Reads a shard and returns the offsets of its intact records.

    The header of a damaged record leads to the next record; if the header is damaged, too, the
    rest of the file is lost.

    Args:
        path: path of a TFRecord file.

    Returns:
        int64 array (records,), and the damage of each other record, with file, record and byte.
    """
    intact, reasons = [], []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = number = 0
        while offset < size:
            try:
                data = read_record(file, offset)
            except RecordError as error:
                file.seek(offset)
                length = int.from_bytes(file.read(8), "little")
                if not _is_record_or_end(file, offset + length + _FRAMING, size):
                    reasons.append(f"record {number}: {error}, and all after it are lost")
                    break
                reasons.append(f"record {number}: {error}")
            else:
                intact.append(offset)
                length = len(data)
            offset += length + _FRAMING
            number += 1
    return np.array(intact, np.int64), reasons


def _is_record_or_end(file: BinaryIO, offset: int, size: int) -> bool:
    """Returns whether a record, or the end of the file, is at an offset."""
    if offset >= size:
        return offset == size
    try:
        record_length(file, offset)
    except RecordError:
        return False
    return True


@contextlib.contextmanager
def damage_named(shards: ShardSet) -> Iterator[None]:
    """Replaces read errors of TensorFlow, which name no file, by errors that do.

    Args:
        shards: ShardSet that the block reads.

    Raises:
        InvalidArgumentError: if the block failed to read, and a shard's checksum is not the
            manifest's, or its labels are not those of labels.txt.
    """
    try:
        yield
    except Exception as error:
        tf = sys.modules.get("tensorflow")  # None if it is not imported
        if not tf or not isinstance(
            error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)
        ):
            raise
        for line in str(error).splitlines():
            if LABEL_MISMATCH in line:
                raise ShardError(label_mismatch(shards)) from None
        damaged = shards.damaged_shards()
        if not damaged:
            raise
        reasons = [
            reason
            for path in damaged
            if not is_address(path)
            for reason in intact_offsets(path)[1][:1]
        ]
        raise damaged_shard(
            ", ".join(damaged) + (f" ({'; '.join(reasons)})" if reasons else "")
        ) from None


def damaged_shard(what: str) -> ShardError:
    """Returns the error of a damaged shard.

    Args:
        what: path of the shard, and its damage.
    """
    return ShardError(
        f"Damaged shard: {what}. Restore the file, convert the videos again into a new folder, or "
        "skip its damaged records, with `on_damage` 'skip'."
    )
