"""Writes files and folders completely or not at all: under another name, then renamed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from keras_t3d.errors import InvalidArgumentError

_PART = ".part-"  # prefix of unfinished files


def check_file_path(path: str | os.PathLike[str] | None, argument: str, *examples: str) -> None:
    """Checks the path of a file to write; None, for no file, is valid.

    Args:
        path: the path.
        argument: name of the argument, for the error message.
        examples: file names, one with each suffix that is allowed.

    Raises:
        InvalidArgumentError: if it does not end in one of the suffixes, or is a folder.
    """
    if path is None:
        return
    suffixes = [pathlib.Path(example).suffix for example in examples]
    if pathlib.Path(path).suffix.lower() not in suffixes or os.path.isdir(path):
        raise InvalidArgumentError(
            f"`{argument}` must name a file that ends in {' or '.join(suffixes)}, for example "
            f"{examples[-1]}. Received: {os.fspath(path)}",
            argument=argument,
        )


@contextlib.contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a path beside `path` to write a file or folder to, then renames it to `path`.

    If the block raises, the file or folder is removed and `path` stays as it was.

    Args:
        path: path of the result, which replaces a file or an empty folder.

    Raises:
        InvalidArgumentError: if a parent folder is a file.

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
        raise InvalidArgumentError(
            f"Expected a folder to write to, new or existing. Received: the file {path.parent}"
        ) from None
    # Keeps the suffix, from which Keras and Matplotlib derive the format.
    part = path.with_name(f"{_PART}{os.getpid()}-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        remove(part)


def remove(path: pathlib.Path) -> None:
    """Removes a file or folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def size_of(path: pathlib.Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def finished_files(folder: pathlib.Path) -> set[str]:
    """Returns the names of what is in a folder, without what a killed process left unfinished."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if not name.startswith(_PART)}


def check_new_folder(folder: pathlib.Path, argument: str) -> None:
    """Raises an InvalidArgumentError unless a folder is new or empty.

    Files that a killed process left unfinished in it do not count.
    """
    if folder.exists() and (not folder.is_dir() or finished_files(folder)):
        raise InvalidArgumentError(
            f"`{argument}` must be a new or empty folder, for example runs/a/report: choose "
            f"another, or remove this one. Received: {folder}",
            argument=argument,
        )


@contextlib.contextmanager
def new_folder(folder: pathlib.Path, argument: str) -> Iterator[None]:
    """Creates a folder if it does not exist; removes it again if the block fails.

    Raises:
        InvalidArgumentError: if it, or a parent folder, is a file.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidArgumentError(
            f"`{argument}` must be a folder, new or existing. Received: a file, {folder}",
            argument=argument,
        ) from None
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # another process may have written there
                folder.rmdir()
        raise


@contextlib.contextmanager
def written_durably(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Does the same as `written_beside`, for a file that must survive a power loss."""
    with written_beside(path) as part:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file completely or not at all."""
    with written_beside(path) as part:
        # File names in the text need not be UTF-8; other bytes are written as \\udcff.
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
