"""The lists that datasets come with: found, and read as text or as rows of a csv file."""

from __future__ import annotations

import csv
import io
import os
import pathlib


def annotation_folder(
    annotations: str | os.PathLike[str], layout: str, holding: str
) -> pathlib.Path:
    """Returns the folder of a dataset's lists.

    Args:
        annotations: path given as `--annotations`.
        layout: str. Name of the layout, for the error.
        holding: str. What the folder holds, for the error.

    Raises:
        ValueError: if there is no such folder.
    """
    folder = pathlib.Path(annotations)
    if not folder.is_dir():
        raise ValueError(
            f"--layout {layout} needs --annotations, a folder that holds {holding}. "
            f"Received: {folder}"
        )
    return folder


def source_folder(source: str | os.PathLike[str], layout: str) -> pathlib.Path:
    """Returns the folder of a dataset's videos.

    Raises:
        ValueError: if there is no such folder.
    """
    folder = pathlib.Path(source)
    if not folder.is_dir():
        raise ValueError(
            f"--layout {layout} needs an existing folder of videos. Received: {folder}"
        )
    return folder


def checked_split_id(split_id: int, layout: str) -> int:
    """Returns the number of an official split, 1 to 3.

    Raises:
        ValueError: if it is another.
    """
    if split_id not in (1, 2, 3):
        raise ValueError(
            f"--layout {layout} has the splits 1, 2 and 3, for example --split-id 1. "
            f"Received: {split_id}"
        )
    return int(split_id)


def read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark.

    Raises:
        ValueError: if there is no such file, or it is not UTF-8.
    """
    if not path.is_file():
        raise ValueError(
            f"The annotation file {path.name} is missing: unpack the dataset's annotations, or "
            f"point --annotations at the folder that holds it. Received: {path.parent}"
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The file must be UTF-8: save it as that. Received: {path} ({error})"
        ) from None


def read_lines(path: pathlib.Path) -> list[tuple[int, str]]:
    """Returns (line number, text) of each line that is not empty."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_rows(path: pathlib.Path) -> tuple[list[str], list[dict[str, str | None]]]:
    """Returns the columns of a csv file, and its rows by column.

    Raises:
        ValueError: if there is no such file, or it is no csv file in UTF-8.
    """
    with io.StringIO(read_text(path), newline="") as file:
        reader = csv.DictReader(file)
        try:
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            return columns, list(reader)
        except csv.Error as error:
            raise ValueError(
                f"The csv file cannot be read, for want of a closing quote perhaps ({error}). "
                f"Received: line {reader.line_num} of {path}"
            ) from None


def parse_seconds(value: str | None, column: str, where: str) -> float | None:
    """Reads a time in seconds; an empty one is `None`.

    Raises:
        ValueError: if it is no number from 0.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(
            f"{column} must be a time in seconds, for example 12.5. Received: {text!r} in {where}"
        )
    return seconds


def check_span(start: float | None, end: float | None, where: str) -> None:
    """Raises a ValueError where a span ends before it begins."""
    if end is not None and end <= (start or 0.0):
        raise ValueError(
            "A span must end after it begins, for example start 3, end 8.5 (seconds). "
            f"Received: start {start}, end {end} in {where}"
        )
