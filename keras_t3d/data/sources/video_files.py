"""The video files below a folder, found in one walk."""

from __future__ import annotations

import os
from collections.abc import Iterator

from keras_t3d.data.sources.folder import VIDEO_SUFFIXES


def video_files(root: str | os.PathLike[str]) -> Iterator[str]:
    """Walks a folder once and gives its video files.

    Files are not opened, and only links are looked at more closely: a broken one is
    no file. Linked folders are walked too, each folder once.

    Args:
        root: folder to walk.

    Returns:
        Iterator of paths below the folder, with `/`, in an order that depends on
        names only. Hidden files and folders are left out.
    """
    yield from _below(os.fspath(root), "", set())


def _below(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:  # a link in a circle
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry.path, f"{prefix}{entry.name}/", seen)
        elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES and entry.is_file():
            yield prefix + entry.name
