"""Which processes write to a folder."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import IO

from keras_t3d.atomic import remove
from keras_t3d.errors import KerasT3DError


class FolderLockedError(KerasT3DError, ValueError):
    """Another process uses a folder."""


def lock(file: IO[str], refusal: str) -> None:
    """Locks an open file for this process, until it is closed or the process ends, however.

    Does nothing on Windows.

    Args:
        file: the open lock file.
        refusal: str. What to say where another process holds it.

    Raises:
        FolderLockedError: if another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise FolderLockedError(refusal) from None


@contextlib.contextmanager
def written_by_many(folder: pathlib.Path) -> Iterator[None]:
    """Removes what kills left in a folder that several processes may write to at once.

    That is, files and folders `.part-*`, unless another process is in such a block of this
    folder. Does nothing on Windows, and where the folder cannot be locked.

    Args:
        folder: pathlib.Path. Made if it is not there.
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
            for cut_short in folder.glob(".part-*"):
                remove(cut_short)
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_SH)
        yield
    finally:
        os.close(opened)
