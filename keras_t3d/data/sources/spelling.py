"""Finds the files that a list names, however their names are spelled."""

from __future__ import annotations

import pathlib
import posixpath
import unicodedata


class SpelledFiles:
    """Finds listed files below a folder.

    File systems keep one of two Unicode forms of a name, or either, and lists written on Windows
    have backslashes.

    Args:
        folder: folder that relative names start at.

    Example:

    ```python
    SpelledFiles(pathlib.Path("videos")).find("run\\\\1.mp4")  # "run/1.mp4"
    ```
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._names: dict[pathlib.Path, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """Returns the path of a file below the folder, as it is on the disk; None if absent.

        It is the same however the name is spelled: relative, without `.` and `..`, or absolute
        where the file is elsewhere.
        """
        for written in (name, name.replace("\\", "/")):
            found = self._stored(written)
            if found is not None and (self._folder / found).is_file():
                path, root = pathlib.PurePosixPath(found), self._folder.absolute()
                return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
        return None

    def _stored(self, name: str) -> str | None:
        if (self._folder / name).exists():
            return posixpath.normpath(name)
        parts: list[str] = []
        for part in pathlib.PurePosixPath(name).parts:
            place = self._folder.joinpath(*parts)
            stored = part if (place / part).exists() else self._composed(place).get(part)
            if stored is None:
                return None
            parts.append(stored)
        return posixpath.normpath(posixpath.join(*parts)) if parts else None

    def _composed(self, place: pathlib.Path) -> dict[str, str]:
        """Returns the names in a folder, by their composed form (NFC), which lists are read in."""
        if place not in self._names:
            names = [path.name for path in place.iterdir()] if place.is_dir() else []
            self._names[place] = {unicodedata.normalize("NFC", name): name for name in names}
        return self._names[place]
