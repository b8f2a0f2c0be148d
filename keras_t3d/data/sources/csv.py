"""Layout `csv`: a csv file that names each video or span, its label and its split."""

from __future__ import annotations

import functools
import os
import pathlib

from keras_t3d.data.sources.annotation_files import check_span, parse_seconds, read_rows
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import (
    Listing,
    SourceError,
    class_name,
    parse_split,
    span_id,
)
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.spelling import SpelledFiles
from keras_t3d.data.sources.video_files import why_no_file
from keras_t3d.errors import InvalidArgumentError

_PATH_COLUMNS = ("path", "file")
_START_COLUMNS = ("start", "time_start")
_END_COLUMNS = ("end", "time_end")


def list_csv(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the videos of a csv file with the columns `path,label,split`.

    Args:
        source: path of the csv file, whose first line names the columns. `path` (or `file`) is
            absolute or relative to the folder of the csv file. `start` and `end` (or
            `time_start` and `time_end`), in seconds, make a row a span of its file; an empty
            value is the start or end of the file. Rows with the same `group` stay in one split.
            Other columns are ignored. Semicolons or tabs may separate the columns.
        options: SourceOptions. `split_ratio` is required if there is no column `split`; spans of
            one file stay in one split.

    Returns:
        A Listing. Rows whose file does not exist are rejects.

    Raises:
        InvalidArgumentError: if there is no such file, or the splits are neither given in the
            file nor by `split_ratio`, or by both.
        SourceError: if a column or value is missing, a split is unknown, a span does not end
            after its start, or a file or span is listed twice.
    """
    if not source.is_file():
        raise InvalidArgumentError(
            "`source` must be a csv file with the columns path,label,split for the layout 'csv', "
            f"for example videos/manifest.csv. Received: {source}",
            argument="source",
        )
    columns, rows = read_rows(source)
    path_column = next((name for name in _PATH_COLUMNS if name in columns), None)
    if path_column is None or "label" not in columns:
        raise SourceError(
            "The csv file's first line must name the columns path,label,split. "
            f"Received: {','.join(columns) or 'an empty file'} in {source}"
        )
    if "split" not in columns and not options.split_ratio:
        raise InvalidArgumentError(
            "The csv file has no column 'split': add it with train, val or test in each row, or "
            "set `split_ratio`, for example to 0.8. "
            f"Received: the columns {','.join(columns)} in {source}",
            argument="split_ratio",
        )
    if "split" in columns and (options.split_ratio or options.group_regex):
        raise InvalidArgumentError(
            "`split_ratio` and `group_regex` are for csv files without a column 'split'. "
            f"Received: the columns {','.join(columns)} in {source}",
            argument="split_ratio",
        )
    start_column = _time_column(_START_COLUMNS, columns, source)
    end_column = _time_column(_END_COLUMNS, columns, source)

    find = functools.cache(SpelledFiles(source.parent).find)
    videos = ListedVideos(source, options)
    first_lines: dict[tuple[str, float, float | None], int] = {}
    for line, row in rows:
        where = f"line {line} of {source}"
        name, label = row[path_column].strip(), class_name(row["label"])
        if not name or not label:
            raise SourceError(f"Every row must have a path and a label. Received: {where}")
        start = parse_seconds(row[start_column], start_column, where) if start_column else None
        end = parse_seconds(row[end_column], end_column, where) if end_column else None
        check_span(start, end, where)
        split = parse_split(row["split"], where) if "split" in columns else None
        found, video_id = find(name), span_id(name, start, end)
        file = os.path.realpath(source.parent / (found or name))
        first = first_lines.setdefault((file, start or 0.0, end), line)
        if first != line:
            raise SourceError(
                f"A video or span must be listed once. Received: {video_id!r} in {where}, the "
                f"same file as in line {first}"
            )
        if found is None:
            videos.reject(video_id, why_no_file(source.parent / name))
            continue
        group = row.get("group", "").strip() if options.group_regex is None else None
        videos.add(found, label, split, start, end, video_id=video_id, group=group)
    return videos.listing()


def _time_column(names: tuple[str, str], columns: list[str], path: pathlib.Path) -> str | None:
    named = [name for name in names if name in columns]
    if len(named) > 1:
        raise SourceError(
            f"A csv file must have only one of the columns {' and '.join(names)}. "
            f"Received: both in {path}"
        )
    return named[0] if named else None


LAYOUT = DatasetLayout(list_csv, optional=("split_ratio", "group_regex"), reads_folder=False)
