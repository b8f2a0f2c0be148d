"""A csv file that names each video, its label and its split."""

from __future__ import annotations

import csv
import io
import os
import pathlib

from keras_t3d.data.sources.listing import SPLITS, Listing, Reject, VideoEntry, make_listing
from keras_t3d.data.sources.splitting import parse_group_regex, parse_split_ratio, split_by_hash

_PATH_COLUMNS = ("path", "file")
_SPLIT_SPELLINGS = {"validation": "val", "valid": "val", "training": "train", "testing": "test"}


def list_csv(
    source: str | os.PathLike[str],
    split_ratio: str | None = None,
    group_regex: str | None = None,
) -> Listing:
    """Lists the videos of a csv file with the columns `path,label,split`.

    Args:
        source: path of the csv file, its first line naming the columns. `path`
            (or `file`) is absolute or relative to the csv file's folder; further
            columns are left alone.
        split_ratio: str. Needed where there is no `split` column; see
            `parse_split_ratio`. Defaults to `None`.
        group_regex: str. Keeps videos of one group in one split; see
            `split_by_hash`. Defaults to `None`.

    Returns:
        A Listing. Rows whose file does not exist are rejects.

    Raises:
        ValueError: if a column or value is missing, a split is unknown, or a file
            is listed twice.

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
    with io.StringIO(_text(path), newline="") as file:
        reader = csv.DictReader(file)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
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
        rows = list(reader)

    shares = parse_split_ratio(split_ratio) if split_ratio else (1.0, 0.0, 0.0)
    pattern = parse_group_regex(group_regex)
    entries: list[VideoEntry] = []
    rejects: list[Reject] = []
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        name, label = (row[path_column] or "").strip(), (row["label"] or "").strip()
        if not name or not label:
            raise ValueError(f"Every row needs a path and a label. Received: line {line} of {path}")
        if name in seen:
            raise ValueError(
                f"Every video is listed once. Received: {name!r} again in line {line} of {path}"
            )
        seen.add(name)
        split = (
            _split_name(row["split"], line, path)
            if "split" in columns
            else split_by_hash(pathlib.Path(name).name, shares, pattern)
        )
        video = path.parent / name
        if video.is_file():
            entries.append(VideoEntry(name, str(video), label, split))
        else:
            rejects.append(Reject(name, "list", "no such file"))
    return make_listing(path, entries, rejects)


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The csv file must be UTF-8: save it as that. Received: {path} ({error})"
        ) from None


def _split_name(value: str | None, line: int, path: pathlib.Path) -> str:
    name = (value or "").strip().lower()
    name = _SPLIT_SPELLINGS.get(name, name)
    if name not in SPLITS:
        raise ValueError(
            f"A split must be one of {', '.join(SPLITS)}. "
            f"Received: {value!r} in line {line} of {path}"
        )
    return name
