"""Which records of a split can be read, and what to say of those that cannot."""

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

from keras_t3d.data.shards.address import is_address
from keras_t3d.data.shards.labels import LABEL_MISMATCH, label_mismatch
from keras_t3d.data.shards.record_file import RecordError, read_record, record_length
from keras_t3d.data.shards.shard_set import Shard, ShardSet
from keras_t3d.errors import InvalidArgumentError

_FRAMING = 16  # bytes of a record that are not its data


@dataclasses.dataclass(frozen=True)
class SplitRecords:
    """The records of a split that are read.

    Attributes:
        shards: Shard. The split's shards that hold records.
        examples: ints. Records that are read of each shard.
        offsets: int64 arrays, one a shard: where these records begin, in bytes. None
            where they are all the records, one after the other.
    """

    shards: tuple[Shard, ...]
    examples: tuple[int, ...]
    offsets: tuple[np.ndarray, ...] | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the shards lie."""
        return tuple(str(shard.path) for shard in self.shards)

    @property
    def num_videos(self) -> int:
        """Number of records, over all shards."""
        return sum(self.examples)


def split_records(shards: ShardSet, split: str, *, skip_damaged: bool = False) -> SplitRecords:
    """Returns the records of a split to read.

    Args:
        shards: ShardSet.
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
        raise InvalidArgumentError(
            f"Not one record of the split {split!r} can be read: {places[0]}"
        )
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
    """Raises a ValueError where shards lie in an object store, which `reader` cannot read."""
    remote = [path for path in paths if is_address(path)]
    if remote:
        raise InvalidArgumentError(
            f"{reader} reads local files: copy the shards to a folder first. Received: {remote[0]}"
        )


@functools.lru_cache(maxsize=4096)
def _intact(path: str, modified: int, size: int) -> tuple[np.ndarray, list[str]]:
    """`intact_offsets`, once for a file as it is: training asks again and again."""
    return intact_offsets(path)


def intact_offsets(path: str | os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Reads a shard and returns where its intact records begin.

    After a damaged record the next one is found by the length that its header tells;
    where that is damaged, too, the rest of the file is lost.

    Args:
        path: path of a TFRecord file.

    Returns:
        int64 array (records,), and what is wrong with each of the others, each place
        named by file, record and byte.
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
    """Whether a length that may be damaged leads to where a record begins, or the file ends."""
    if offset >= size:
        return offset == size
    try:
        record_length(file, offset)
    except RecordError:
        return False
    return True


@contextlib.contextmanager
def damage_named(shards: ShardSet) -> Iterator[None]:
    """Turns TensorFlow's read errors, which name no file, into ones that do.

    Args:
        shards: ShardSet that the block reads.

    Raises:
        InvalidArgumentError: if the block failed to read, and a shard's checksum is not the
            manifest's, or its labels are not those of labels.txt.
    """
    try:
        yield
    except Exception as error:
        tf = sys.modules.get("tensorflow")  # not imported, it cannot have failed
        if not tf or not isinstance(
            error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)
        ):
            raise
        for line in str(error).splitlines():
            if LABEL_MISMATCH in line:
                raise InvalidArgumentError(label_mismatch(shards)) from None
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


def damaged_shard(what: str) -> ValueError:
    """Returns the error of a damaged shard, which says what to do.

    Args:
        what: str. Which shard, and what is wrong with it.
    """
    return ValueError(
        f"Damaged shard: {what}. Restore the file, convert the videos again into a new folder, or "
        "load its clips without the damaged records, with on_damage='skip'."
    )
