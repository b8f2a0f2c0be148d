"""Which processes write to a folder."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import IO


def lock(file: IO[str], refusal: str) -> None:
    """Locks an open file for this process, until it is closed or the process ends, however.

    Does nothing on Windows.

    Args:
        file: the open lock file.
        refusal: str. What to say where another process holds it.

    Raises:
        ValueError: if another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ValueError(refusal) from None


@contextlib.contextmanager
def written_by_many(folder: pathlib.Path) -> Iterator[None]:
    """Removes what kills left in a folder that several processes may write to at once.

    That is, `.part-*` files, unless another process is in such a block of this folder. Does
    nothing on Windows, and where the folder cannot be written to.

    Args:
        folder: pathlib.Path.
    """
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except (ImportError, OSError):
        yield
        return
    with file:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for cut_short in folder.glob(".part-*"):
                cut_short.unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
