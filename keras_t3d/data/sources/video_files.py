"""Finds the video files below a folder in one walk."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterator

VIDEO_SUFFIXES = frozenset(
    ".264 .265 .3g2 .3gp .3gp2 .3gpp .amv .asf .avc .avi .dav .divx .dv .f4v .flv .gif .h261 .h263 "
    ".h264 .h265 .hevc .insv .ivf .m1v .m2t .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mod .mov .mp2v .mp4 "
    ".mpe .mpeg .mpg .mpv .mts .mxf .nut .obu .ogg .ogm .ogv .qt .rm .rmvb .tod .tp .trp .ts .vob "
    ".webm .wm .wmv .wtv .y4m".split()
)


def files_below(root: str | os.PathLike[str]) -> Iterator[str]:
    """Yields all files below a folder, including broken links.

    Follows links to folders, and walks each folder once.

    Args:
        root: folder to walk.

    Yields:
        Paths below the folder, with `/`, in an order that depends on names only. Hidden files
        and folders are left out.
    """
    yield from _below(os.fspath(root), "", set())


def checked_files(root: str | os.PathLike[str]) -> Iterator[tuple[str, str | None]]:
    """Yields `files_below`, each with the reason why it is not a video, or None."""
    for name in files_below(root):
        if not os.path.isfile(os.path.join(root, name)):
            yield name, why_no_file(os.path.join(root, name))
        elif not has_video_suffix(name):
            yield name, "not the suffix of a video file"
        else:
            yield name, None


def video_files(root: str | os.PathLike[str]) -> Iterator[str]:
    """Yields those of `files_below` with the suffix of a video, without broken links."""
    for name in files_below(root):
        if has_video_suffix(name) and os.path.isfile(os.path.join(root, name)):
            yield name


def videos_by_name(root: str | os.PathLike[str]) -> dict[str, str]:
    """Returns `video_files` by their names without suffix; of several, the first."""
    found: dict[str, str] = {}
    for path in video_files(root):
        found.setdefault(video_name(path), path)
    return found


def videos_by_class(root: str | os.PathLike[str]) -> dict[tuple[str, str], str]:
    """Returns `video_files` in folders by (folder, name without suffix); of several, the first."""
    found: dict[tuple[str, str], str] = {}
    for path in video_files(root):
        folder = unicodedata.normalize("NFC", posixpath.basename(posixpath.dirname(path)))
        if folder:
            found.setdefault((folder, video_name(path)), path)
    return found


def has_video_suffix(name: str) -> bool:
    """Returns whether a file name has the suffix of a video."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def without_video_suffixes(path: str) -> str:
    """Returns a path without its suffixes: `a/b` for `a/b.mp4` and `a/b.mp4.webm`.

    Downloaders append the suffix of what they got to the name that was asked for.
    """
    while has_video_suffix(path):
        path = os.path.splitext(path)[0]
    return path


def video_name(path: str) -> str:
    """Returns the name of a file without its suffixes, composed (NFC) as in the datasets' lists."""
    return unicodedata.normalize("NFC", without_video_suffixes(os.path.basename(path)))


def why_no_file(path: str | os.PathLike[str]) -> str:
    """Returns why a path is not that of a file."""
    if os.path.exists(path):
        return "not a file"
    return "no such file: a broken link" if os.path.islink(path) else "no such file"


def _below(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:  # a circular link
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry.path, f"{prefix}{entry.name}/", seen)
        else:
            yield prefix + entry.name
