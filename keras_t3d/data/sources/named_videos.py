"""Lists the videos that a user names: files, folders of them, and csv files that list them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence

from keras_t3d.data.sources.annotation_files import read_rows
from keras_t3d.data.sources.csv_rows import has_path_column, video_rows
from keras_t3d.data.sources.listing import SourceError, VideoEntry
from keras_t3d.data.sources.video_files import video_files
from keras_t3d.errors import InvalidArgumentError, check_argument

_LISTS = (".csv", ".tsv")
_RULE = "video files, folders with videos, or csv files that list them"

VideoSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str] | VideoEntry]


def named_videos(videos: VideoSource) -> list[VideoEntry]:
    """Lists videos in the order in which they are named, each one once.

    Args:
        videos: a path or several: of a video, of a folder, which stands for all videos below it,
            or of a csv file with the column `path` (or `file`), and `start` and `end` for spans;
            or what this function returned.

    Returns:
        VideoEntries without label and split. The id of a video is its path; in a csv file, what
        the row names, with the span if there is one. Files that do not exist are listed, too,
        unless none does.

    Raises:
        InvalidArgumentError: if nothing named exists, or a folder holds no video.
        SourceError: if a csv file is malformed or empty.
    """
    paths = [videos] if isinstance(videos, (str, os.PathLike)) else list(videos)
    check_argument("videos", paths, bool(paths), f"{_RULE}, at least one")
    names = [os.fspath(path) for path in paths if not isinstance(path, VideoEntry)]
    if names and not any(map(os.path.exists, names)):
        raise InvalidArgumentError(f"No such file: {', '.join(names)}", argument="videos")
    listed: dict[tuple[str, float | None, float | None], VideoEntry] = {}
    for path in paths:
        for entry in [path] if isinstance(path, VideoEntry) else _entries(os.fspath(path)):
            listed.setdefault((entry.path, entry.start, entry.end), entry)
    return list(listed.values())


def _entries(path: str) -> Iterator[VideoEntry]:
    if os.path.isdir(path):
        yield from _entries_of_folder(path)
    elif os.path.splitext(path)[1].lower() in _LISTS:
        yield from _entries_of_list(pathlib.Path(path))
    else:
        yield _entry(path, path)


def _entries_of_folder(path: str) -> Iterator[VideoEntry]:
    found = False
    for name in video_files(path):
        found = True
        file = os.path.join(path, name)
        yield _entry(file, file)
    check_argument("videos", path, found, _RULE)


def _entries_of_list(path: pathlib.Path) -> Iterator[VideoEntry]:
    columns, rows = read_rows(path)
    if not has_path_column(columns) or not rows:
        raise SourceError(
            "The csv file's first line must name the column path, and others one video each. "
            f"Received: {','.join(columns) or 'an empty file'} and {len(rows)} rows in {path}"
        )
    for row in video_rows(path, columns, rows):
        file = os.path.join(path.parent, row.path or row.name)
        yield _entry(row.video_id, file, row.start, row.end)


def _entry(
    video_id: str, path: str, start: float | None = None, end: float | None = None
) -> VideoEntry:
    return VideoEntry(video_id, path, label="", split="", start=start, end=end)
