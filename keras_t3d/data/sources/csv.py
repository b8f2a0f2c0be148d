"""Layout `csv`: a csv file that names each video or span, its label and its split."""

from __future__ import annotations

import os
import pathlib

from keras_t3d.data.sources.annotation_files import read_rows
from keras_t3d.data.sources.csv_rows import has_path_column, video_rows
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError, class_name, parse_split
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import why_no_file
from keras_t3d.errors import InvalidArgumentError


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
    if not has_path_column(columns) or "label" not in columns:
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
    videos = ListedVideos(source, options)
    first_lines: dict[tuple[str, float, float | None], int] = {}
    for row in video_rows(source, columns, rows):
        label = class_name(row.cells["label"])
        if not label:
            raise SourceError(f"Every row must have a label. Received: {row.where}")
        split = parse_split(row.cells["split"], row.where) if "split" in columns else None
        file = os.path.realpath(source.parent / (row.path or row.name))
        first = first_lines.setdefault((file, row.start or 0.0, row.end), row.line)
        if first != row.line:
            raise SourceError(
                f"A video or span must be listed once. Received: {row.video_id!r} in {row.where}, "
                f"the same file as in line {first}"
            )
        if row.path is None:
            videos.reject(row.video_id, why_no_file(source.parent / row.name))
            continue
        group = row.cells.get("group", "").strip() if options.group_regex is None else None
        videos.add(row.path, label, split, row.start, row.end, video_id=row.video_id, group=group)
    return videos.listing()


LAYOUT = DatasetLayout(list_csv, optional=("split_ratio", "group_regex"), reads_folder=False)
