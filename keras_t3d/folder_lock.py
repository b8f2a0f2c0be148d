"""Keeps two processes from writing to one folder."""

from __future__ import annotations

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
