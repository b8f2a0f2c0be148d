"""Locks folders against other processes."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import IO, Any

from keras_t3d.atomic import remove
from keras_t3d.errors import KerasT3DError


class FolderLockedError(KerasT3DError, ValueError):
    """Another process writes to a folder."""


def lock(file: IO[Any], message: str) -> None:
    """Locks an open file until it is closed or the process ends; does nothing on Windows.

    Raises:
        FolderLockedError: with this message, if another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise FolderLockedError(message) from None


@contextlib.contextmanager
def written_by_many(folder: pathlib.Path) -> Iterator[None]:
    """Removes unfinished files from a folder that several processes may write to at once.

    These are the files and folders `.part-*` of processes that were killed. Does nothing while
    another process is in such a block for this folder, on Windows, and if the folder cannot be
    locked.

    Args:
        folder: the folder, which is created if needed.
    """
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for unfinished in folder.glob(".part-*"):
                remove(unfinished)
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_SH)
        yield
    finally:
        os.close(opened)
