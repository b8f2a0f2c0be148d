"""Reads the lists of datasets: text files, rows of csv files, times in seconds."""

from __future__ import annotations

import csv
import io
import itertools
import pathlib
import unicodedata

from keras_t3d.data.sources.listing import SourceError
from keras_t3d.data.sources.options import SourceOptions
from keras_t3d.errors import InvalidArgumentError


def annotation_folder(options: SourceOptions, content: str) -> pathlib.Path:
    """Returns the folder of a dataset's lists.

    Args:
        options: SourceOptions with `annotations`.
        content: what the folder holds, for the error message.

    Raises:
        InvalidArgumentError: if the folder does not exist.
    """
    folder = pathlib.Path(options.annotations or "")
    if not options.annotations or not folder.is_dir():
        raise InvalidArgumentError(
            f"The layout {options.layout!r} requires `annotations`, a folder that holds {content}. "
            f"Received: {options.annotations}",
            argument="annotations",
        )
    return folder


def official_split(options: SourceOptions) -> int:
    """Returns the number of an official split, 1 to 3.

    Raises:
        InvalidArgumentError: if it is another.
    """
    if options.split_id not in (1, 2, 3):
        raise InvalidArgumentError(
            f"`split_id` must be 1, 2 or 3 for the layout {options.layout!r}. "
            f"Received: {options.split_id}",
            argument="split_id",
        )
    return int(options.split_id)


def read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file, composed (NFC), without a byte order mark.

    Raises:
        SourceError: if the file does not exist or is not UTF-8.
    """
    if not path.is_file():
        raise SourceError(
            f"The annotation file {path.name} is missing: unpack the dataset's annotations, or "
            f"set `annotations` to the folder that holds it. Received: {path.parent}"
        )
    try:
        return unicodedata.normalize("NFC", path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SourceError(
            f"An annotation file must be UTF-8: save it in this encoding. Received: {path} "
            f"({error})"
        ) from None


def read_lines(path: pathlib.Path) -> list[tuple[int, str]]:
    """Returns (line number, text) of each line that is not empty."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_rows(path: pathlib.Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Returns the column names of a csv file, and its rows by column with their line numbers.

    Columns are separated by commas, semicolons or tabs: by what the first line has most of. Their
    names are in small letters. Rows without content are left out, cells that are missing at the
    end of a row are empty.

    Raises:
        SourceError: if the file does not exist, is not a csv file in UTF-8, names a column twice,
            or a row has more cells than there are columns.
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    separator = max(",;\t", key=text.lstrip("\n").partition("\n")[0].count)
    header, *rows = _cells(text, separator, path) or [(1, [])]
    columns = [cell.strip().lower() for cell in header[1]]
    for name in filter(None, columns):
        if columns.count(name) > 1:
            raise SourceError(f"A csv file must name a column once. Received: {name!r} in {path}")
    for line, cells in rows:
        if len(cells) > len(columns):
            raise SourceError(
                f"A row must not have more cells than the {len(columns)} columns: quote a label "
                f'that contains {separator!r}, for example "Pushing something, so that it '
                f'falls". Received: {len(cells)} cells in line {line} of {path}'
            )
    padded = ((line, itertools.zip_longest(columns, cells, fillvalue="")) for line, cells in rows)
    return columns, [(line, dict(row)) for line, row in padded]


def _cells(text: str, separator: str, path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Returns the rows that have content, with the lines in which they begin."""
    rows, line = [], 1
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append((line, cells))
            line = reader.line_num + 1  # a quoted cell may have several lines
    except csv.Error as error:
        raise SourceError(
            f"The csv file cannot be parsed ({error}); a closing quote may be missing. "
            f"Received: the row from line {line} of {path}"
        ) from None
    return rows


def parse_seconds(value: str | None, column: str, where: str) -> float | None:
    """Returns a time in seconds; None for an empty value.

    Raises:
        SourceError: unless it is a number from 0.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SourceError(
            f"{column} must be a time in seconds, for example 12.5. Received: {text!r} in {where}"
        )
    return seconds


def check_span(start: float | None, end: float | None, where: str) -> None:
    """Raises a SourceError if a span does not end after its start."""
    if end is not None and end <= (start or 0.0):
        raise SourceError(
            "A span must end after its start, for example start 3, end 8.5 (seconds). "
            f"Received: start {start}, end {end} in {where}"
        )
