"""Layout `kinetics`: Kinetics 400, 600 and 700, videos by YouTube id and csv files of spans."""

from __future__ import annotations

import pathlib
import re

from keras_t3d.data.sources.annotation_files import (
    check_span,
    parse_seconds,
    read_rows,
)
from keras_t3d.data.sources.listed_videos import ListedVideos
from keras_t3d.data.sources.listing import Listing, SourceError, parse_split
from keras_t3d.data.sources.options import DatasetLayout, SourceOptions
from keras_t3d.data.sources.video_files import videos_by_name
from keras_t3d.errors import InvalidArgumentError

_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_LIST_NAME = re.compile(r"(?:.*[^a-z])?(train|val|validate|validation|test)\.csv", re.IGNORECASE)


def list_kinetics(source: pathlib.Path, options: SourceOptions) -> Listing:
    """Lists the spans of Kinetics 400, 600 or 700 whose videos are present.

    A file `<id>_<start>_<end>.mp4`, with six digits each, is the clip itself; from a file
    `<id>.mp4` the listed span is cut. Double suffixes, as `.mp4.webm` of downloaders, are read.

    Args:
        source: folder of videos, at any depth: flat, in class or in split folders. Of files with
            the same name the first in path order is used.
        options: SourceOptions. `annotations` is a csv file with the columns
            `label,youtube_id,time_start,time_end,split`, or a folder of such files: `train.csv`,
            `val.csv` (`validate.csv`) and `test.csv`, or names that end so, as
            `kinetics-400_val.csv`. Without a column `split`, the file name gives the split.

    Returns:
        A Listing; its classes are all that the csv files name, sorted. Spans listed again are
        rejects; those whose video is missing are absent.

    Raises:
        InvalidArgumentError: if the annotations do not exist.
        SourceError: if a csv file has no labels, a row is malformed, or no listed video is
            found.

    Reference:
        Kay et al., The Kinetics human action video dataset, 2017,
        https://arxiv.org/abs/1705.06950
    """
    list_paths = _list_paths(pathlib.Path(options.annotations or ""))
    found = videos_by_name(source)
    videos = ListedVideos(source, options)
    class_names: set[str] = set()
    for list_path in list_paths:
        columns, rows = read_rows(list_path)
        split_of_file = _split_of_file(list_path, columns)
        for line, row in rows:
            where = f"line {line} of {list_path}"
            label, youtube_id, start, end = _span(row, where)
            split = split_of_file or parse_split(row["split"], where)
            class_names.add(label)
            clip = f"{youtube_id}_{round(start):06d}_{round(end):06d}"
            if clip in found:
                videos.add(found[clip], label, split)
            elif youtube_id in found:
                videos.add(found[youtube_id], label, split, start, end)
            else:
                videos.add_absent(clip)
    return videos.listing(sorted(class_names))


def _list_paths(annotations: pathlib.Path) -> list[pathlib.Path]:
    if annotations.is_file():
        return [annotations]
    paths = []
    if annotations.is_dir():
        paths = sorted(p for p in annotations.iterdir() if _LIST_NAME.fullmatch(p.name))
    if not paths:
        raise InvalidArgumentError(
            "The layout 'kinetics' requires `annotations`, a csv file such as train.csv or a "
            f"folder that holds train.csv, val.csv or test.csv. Received: {annotations}",
            argument="annotations",
        )
    return paths


def _split_of_file(path: pathlib.Path, columns: list[str]) -> str | None:
    """Returns the split that the file name gives; None if the rows have a column for it."""
    if "label" not in columns and "youtube_id" in columns:
        raise SourceError(
            "The csv file has no labels, like the test sets of some releases: put the other files "
            f"in a folder without it. Received: {path} with the columns "
            f"{','.join(columns)}"
        )
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise SourceError(
            f"The csv file's first line must name the columns {','.join(_COLUMNS)},split. "
            f"Received: {','.join(columns) or 'an empty file'} in {path}"
        )
    if "split" in columns:
        return None
    named = _LIST_NAME.fullmatch(path.name)
    if not named:
        raise SourceError(
            "A csv file without a column 'split' must be named train.csv, val.csv or test.csv. "
            f"Received: {path}"
        )
    return parse_split(named[1], str(path))


def _span(row: dict[str, str], where: str) -> tuple[str, str, float, float]:
    label, youtube_id = (row[name].strip() for name in ("label", "youtube_id"))
    start = parse_seconds(row["time_start"], "time_start", where)
    end = parse_seconds(row["time_end"], "time_end", where)
    if not label or not youtube_id or start is None or end is None:
        raise SourceError(
            f"Every row must have {', '.join(_COLUMNS)}, for example "
            f"abseiling,0wR5jVB-WPk,417,427. Received: {where}"
        )
    check_span(start, end, where)
    return label, youtube_id, start, end


LAYOUT = DatasetLayout(
    list_kinetics,
    required={"annotations": "annotations/train.csv"},
    optional=("only_present_classes",),
)
