"""Kinetics 400, 600 and 700: videos named by YouTube id, with csv files of spans."""

from __future__ import annotations

import os
import pathlib
import re

from keras_t3d.data.sources.annotation_files import (
    check_span,
    parse_seconds,
    read_rows,
    source_folder,
)
from keras_t3d.data.sources.listing import (
    Listing,
    Reject,
    VideoEntry,
    make_official_listing,
    span_id,
    split_named,
)
from keras_t3d.data.sources.video_files import video_files

_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
_LIST_NAME = re.compile(r"(?:.*[^a-z])?(train|val|validate|validation|test)\.csv", re.IGNORECASE)


def list_kinetics(
    source: str | os.PathLike[str], *, annotations: str | os.PathLike[str]
) -> Listing:
    """Lists the spans of Kinetics 400, 600 or 700 whose videos are present.

    A file `<id>_<start>_<end>.mp4`, with six digits each, is the clip itself; of a file
    `<id>.mp4` the listed span is cut.

    Args:
        source: folder of videos, at any depth: flat, in class or in split folders. Of
            files with one name the first in the order of their paths is taken.
        annotations: csv file with the columns `label,youtube_id,time_start,time_end,split`,
            or a folder of them: `train.csv`, `val.csv` (`validate.csv`) and `test.csv`, or
            names that end so, as `kinetics-400_val.csv`. Without a column `split` the
            file's name says it.

    Returns:
        A Listing; its classes are all that the csv files name, sorted. Spans whose
        video is absent, and spans listed again, are rejects.

    Raises:
        ValueError: if a csv file has no labels, a row cannot be read, or no listed
            video is found.

    Example:

    ```python
    listing = list_kinetics("k400", annotations="k400/annotations")
    ```

    Reference:
        Kay et al., The Kinetics human action video dataset, 2017,
        https://arxiv.org/abs/1705.06950
    """
    root = source_folder(source, "kinetics")
    list_paths = _list_paths(pathlib.Path(annotations))
    found: dict[str, str] = {}
    for path in video_files(root):
        found.setdefault(pathlib.PurePosixPath(path).stem, path)

    entries: list[VideoEntry] = []
    rejects: list[Reject] = []
    class_names: set[str] = set()
    seen: set[str] = set()
    for list_path in list_paths:
        columns, rows = read_rows(list_path)
        split_of_file = _split_of_file(list_path, columns)
        for line, row in enumerate(rows, start=2):
            where = f"line {line} of {list_path}"
            label, youtube_id, start, end = _span(row, where)
            split = split_of_file or split_named(row["split"], where)
            class_names.add(label)
            clip = f"{youtube_id}_{round(start):06d}_{round(end):06d}"
            if clip in found:
                entry = VideoEntry(found[clip], str(root / found[clip]), label, split)
            elif youtube_id in found:
                whole = found[youtube_id]
                video_id = span_id(whole, start, end)
                entry = VideoEntry(video_id, str(root / whole), label, split, start, end)
            else:
                rejects.append(Reject(clip, "list", "no such file"))
                continue
            if entry.video_id in seen:
                reason = f"listed again, as {label!r} in {split}"
                rejects.append(Reject(entry.video_id, "list", reason))
                continue
            seen.add(entry.video_id)
            entries.append(entry)
    return make_official_listing(root, entries, rejects, sorted(class_names))


def _list_paths(annotations: pathlib.Path) -> list[pathlib.Path]:
    if annotations.is_file():
        return [annotations]
    paths = []
    if annotations.is_dir():
        paths = sorted(p for p in annotations.iterdir() if _LIST_NAME.fullmatch(p.name))
    if not paths:
        raise ValueError(
            "--layout kinetics needs --annotations, a csv file such as train.csv or a folder that "
            f"holds train.csv, val.csv or test.csv. Received: {annotations}"
        )
    return paths


def _split_of_file(path: pathlib.Path, columns: list[str]) -> str | None:
    """The split that the file's name says, where its rows do not."""
    if "label" not in columns and "youtube_id" in columns:
        raise ValueError(
            "The csv file names no labels, as the test sets of some releases: leave it out, with "
            f"the others in a folder of their own. Received: {path} with the columns "
            f"{','.join(columns)}"
        )
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"The csv file's first line must name the columns {','.join(_COLUMNS)},split. "
            f"Received: {','.join(columns) or 'an empty file'} in {path}"
        )
    if "split" in columns:
        return None
    named = _LIST_NAME.fullmatch(path.name)
    if not named:
        raise ValueError(
            "A csv file without a column `split` must be named for one: train.csv, val.csv or "
            f"test.csv. Received: {path}"
        )
    return split_named(named[1], str(path))


def _span(row: dict[str, str | None], where: str) -> tuple[str, str, float, float]:
    label, youtube_id = ((row[name] or "").strip() for name in ("label", "youtube_id"))
    start = parse_seconds(row["time_start"], "time_start", where)
    end = parse_seconds(row["time_end"], "time_end", where)
    if not label or not youtube_id or start is None or end is None:
        raise ValueError(
            f"Every row needs {', '.join(_COLUMNS)}, for example abseiling,0wR5jVB-WPk,417,427. "
            f"Received: {where}"
        )
    check_span(start, end, where)
    return label, youtube_id, start, end
