"""A csv file that names each video or span, its label and its split."""

from __future__ import annotations

import os
import pathlib

from keras_t3d.data.sources.annotation_files import check_span, parse_seconds, read_rows
from keras_t3d.data.sources.listing import (
    Listing,
    Reject,
    VideoEntry,
    make_listing,
    span_id,
    split_named,
)
from keras_t3d.data.sources.splitting import parse_group_regex, parse_split_ratio, split_by_hash

_PATH_COLUMNS = ("path", "file")
_START_COLUMNS = ("start", "time_start")
_END_COLUMNS = ("end", "time_end")


def list_csv(
    source: str | os.PathLike[str],
    split_ratio: str | None = None,
    group_regex: str | None = None,
) -> Listing:
    """Lists the videos of a csv file with the columns `path,label,split`.

    Args:
        source: path of the csv file, its first line naming the columns. `path`
            (or `file`) is absolute or relative to the csv file's folder. `start` and
            `end` (or `time_start` and `time_end`), in seconds, make a row a span of
            its file, so that one file may give several; an empty one is the file's
            beginning or end. Further columns are left alone.
        split_ratio: str. Needed where there is no `split` column; see
            `parse_split_ratio`. Spans of one file stay in one split. Defaults to
            `None`.
        group_regex: str. Keeps videos of one group in one split; see
            `split_by_hash`. Defaults to `None`.

    Returns:
        A Listing. Rows whose file does not exist are rejects.

    Raises:
        ValueError: if a column or value is missing, a split is unknown, a span ends
            before it begins, or a file or span is listed twice.

    Example:

    ```python
    listing = list_csv("videos/manifest.csv")
    ```
    """
    path = pathlib.Path(source)
    if not path.is_file():
        raise ValueError(
            "--layout csv needs a csv file with the columns path,label,split, "
            f"for example videos/manifest.csv. Received: {path}"
        )
    columns, rows = read_rows(path)
    path_column = next((name for name in _PATH_COLUMNS if name in columns), None)
    if path_column is None or "label" not in columns:
        raise ValueError(
            "The csv file's first line must name the columns path,label,split. "
            f"Received: {','.join(columns) or 'an empty file'} in {path}"
        )
    if "split" not in columns and not split_ratio:
        raise ValueError(
            "The csv file has no column `split`: add one with train, val or test in each row, "
            f"or --split-ratio 0.8. Received: the columns {','.join(columns)} in {path}"
        )
    if "split" in columns and (split_ratio or group_regex):
        raise ValueError(
            "--split-ratio and --group-regex are for csv files without a column `split`. "
            f"Received: the columns {','.join(columns)} in {path}"
        )
    start_column = _time_column(_START_COLUMNS, columns, path)
    end_column = _time_column(_END_COLUMNS, columns, path)

    shares = parse_split_ratio(split_ratio) if split_ratio else (1.0, 0.0, 0.0)
    pattern = parse_group_regex(group_regex)
    is_file: dict[pathlib.Path, bool] = {}
    entries: list[VideoEntry] = []
    rejects: list[Reject] = []
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        where = f"line {line} of {path}"
        name, label = (row[path_column] or "").strip(), (row["label"] or "").strip()
        if not name or not label:
            raise ValueError(f"Every row needs a path and a label. Received: {where}")
        start = parse_seconds(row[start_column], start_column, where) if start_column else None
        end = parse_seconds(row[end_column], end_column, where) if end_column else None
        check_span(start, end, where)
        video_id = span_id(name, start, end)
        if video_id in seen:
            raise ValueError(
                "Every video, and every span of one, is listed once. "
                f"Received: {video_id!r} again in {where}"
            )
        seen.add(video_id)
        split = (
            split_named(row["split"], where)
            if "split" in columns
            else split_by_hash(pathlib.Path(name).name, shares, pattern)
        )
        video = path.parent / name
        if video not in is_file:
            is_file[video] = video.is_file()
        if is_file[video]:
            entries.append(VideoEntry(video_id, str(video), label, split, start, end))
        else:
            rejects.append(Reject(video_id, "list", "no such file"))
    return make_listing(path, entries, rejects)


def _time_column(names: tuple[str, str], columns: list[str], path: pathlib.Path) -> str | None:
    named = [name for name in names if name in columns]
    if len(named) > 1:
        raise ValueError(
            f"A csv file has one of the columns {' and '.join(names)}, in seconds: rename the "
            f"other. Received: both in {path}"
        )
    return named[0] if named else None
