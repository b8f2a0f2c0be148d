"""Files and folders that are whole or absent: written beside, then renamed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Gives a path beside `path` to write a file or folder to, then renames it to `path`.

    If the block raises, what it wrote is removed and `path` stays as it was.

    Args:
        path: where the result is to lie. A file there is replaced, an empty folder
            gives way to a folder.

    Raises:
        ValueError: if a file lies where a parent folder is to be.

    Example:

    ```python
    with written_beside("report.json") as part:
        part.write_text("{}")
    ```
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            f"Expected a folder to write to, new or old. Received: {path.parent}, where a file is"
        ) from None
    # Keeps the suffix, which Keras and Matplotlib read as the file's format.
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        remove(part)


def remove(path: pathlib.Path) -> None:
    """Removes a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def written_durably(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """As `written_beside`, for a file that a power loss must not leave empty."""
    with written_beside(path) as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file that is whole or absent."""
    with written_beside(path) as part:
        # A file name need not be UTF-8; what is not is written as \\udcff and the like.
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
