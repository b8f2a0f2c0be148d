"""Directories of numbered versions of a model, as servers read them."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_t3d.atomic import new_folder
from keras_t3d.errors import check_argument
from keras_t3d.folder_lock import written_by_many


class NewVersion:
    """A version that is written.

    Attributes:
        folder: where its files are written to.
        path: the folder of the version, once it is complete.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = self.path = folder


def check_holds_versions(directory: Path, file: str) -> None:
    """Raises InvalidArgumentError if a directory is a version itself, with the file of a model."""
    rule = "the directory of versions, not one of them, for example serving/t3d"
    check_argument("directory", str(directory), not (directory / file).exists(), rule)


@contextlib.contextmanager
def new_version(directory: Path) -> Iterator[NewVersion]:
    """Yields a version to write, then renames it to the next number below the directory.

    Servers read only directories whose names are numbers, so they never see half of one.
    """
    with (
        new_folder(directory, "directory"),
        written_by_many(directory),
        tempfile.TemporaryDirectory(prefix=".part-", dir=directory) as part,
    ):
        version = NewVersion(Path(part, "version"))  # `part` is readable by its owner only
        version.folder.mkdir()
        yield version
        version.path = _publish(version.folder, directory)


def _publish(folder: Path, directory: Path) -> Path:
    """Renames the complete version to the next number, which another export may take first."""
    while True:
        version = directory / str(_last_version(directory) + 1)
        try:
            folder.rename(version)
            return version
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _last_version(directory: Path) -> int:
    versions = [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal()]
    return max(versions, default=0)
