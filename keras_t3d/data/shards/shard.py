"""One file of records: its size, its checksum, and whether it is damaged."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_t3d.data.shards.errors import RecordError, ShardError
from keras_t3d.data.shards.object_store import Address
from keras_t3d.data.shards.record_file import read_record, record_offsets

# An object store answers in tens of milliseconds, and a set may have thousands of shards.
_PARALLEL_REQUESTS = 16


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
        path: path, or Address in an object store.
        split: `"train"`, `"val"` or `"test"`.
        examples: number of records.
        sha256: checksum in hexadecimal; None without a manifest.
    """

    path: pathlib.Path | Address
    split: str
    examples: int
    sha256: str | None = None

    def identity(self) -> list[Any]:
        """Returns values that change with the content of the file, as JSON holds them."""
        if self.sha256 is not None:
            return [os.path.basename(str(self.path)), self.examples, self.sha256]
        stat = os.stat(str(self.path))
        return [str(self.path), self.examples, stat.st_size, stat.st_mtime_ns]

    @property
    def is_damaged(self) -> bool:
        """Whether the file differs from its checksum; without one, from those of its records."""
        path = self.path
        if isinstance(path, Address):
            return path.sha256() != self.sha256
        if self.sha256 is not None:
            return checksum(path) != self.sha256
        try:
            with open(path, "rb") as file:
                for offset in record_offsets(path):
                    read_record(file, int(offset))
        except RecordError:
            return True
        return False


def check_sizes(shards: Sequence[Shard], sizes: Sequence[int]) -> None:
    """Raises a ShardError if a file is missing or has another size.

    Args:
        shards: the shards.
        sizes: size of each file according to the manifest, in bytes.
    """
    with concurrent.futures.ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        found_sizes = list(pool.map(_size, [shard.path for shard in shards]))
    for shard, size, found in zip(shards, sizes, found_sizes, strict=True):
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise ShardError(
                f"The shard {shard.path} {state}. Convert the videos again, or restore the file."
            )


def _size(path: pathlib.Path | Address) -> int | None:
    try:
        return path.size() if isinstance(path, Address) else path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def checksum(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
