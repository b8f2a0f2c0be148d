"""Copies shards to memory or to a faster disk when each is first read."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import threading

from keras_t3d.atomic import written_beside
from keras_t3d.data.shards.shard import Shard

_MEMORY = "ram://keras_t3d"


def cached_path(shard: Shard, place: bool | str | os.PathLike[str]) -> str:
    """Copies a shard unless there is a copy, and returns the path of the copy.

    Args:
        shard: a shard in a folder or in an object store. One that has changed is copied anew.
        place: True for memory, until the process ends; all who read the shard share the copy.
            Otherwise a folder, whose copies later runs find again.
    """
    if isinstance(place, bool):
        return _in_memory(shard, f"{_MEMORY}/{_name(shard)}")
    return _in_folder(shard, pathlib.Path(place) / _name(shard))


def _name(shard: Shard) -> str:
    """Returns a name that differs for each version of the shard."""
    version = f"{shard.path}:{shard.sha256}"
    if isinstance(shard.path, pathlib.Path):
        status = shard.path.stat()
        version = f"{shard.path.absolute()}:{status.st_size}:{status.st_mtime_ns}"
    digest = hashlib.sha256(version.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{digest}-{str(shard.path).rpartition('/')[2]}"


def _in_memory(shard: Shard, copy: str) -> str:
    import tensorflow as tf

    with _lock(copy):
        if not tf.io.gfile.exists(copy):
            try:
                tf.io.gfile.copy(str(shard.path), copy)
            except BaseException:  # an incomplete copy must not be used
                if tf.io.gfile.exists(copy):
                    tf.io.gfile.remove(copy)
                raise
    return copy


def _in_folder(shard: Shard, copy: pathlib.Path) -> str:
    with _lock(str(copy)):
        if not copy.is_file():
            with written_beside(copy) as part:
                if isinstance(shard.path, pathlib.Path):
                    shutil.copyfile(shard.path, part)
                else:
                    with open(part, "wb") as file:
                        file.writelines(shard.path.pieces())
    return str(copy)


_LOCKS: dict[str, threading.Lock] = {}


def _lock(copy: str) -> threading.Lock:
    return _LOCKS.setdefault(copy, threading.Lock())  # atomic: two threads get the same lock
