"""The scores of windows as a JSON or csv file, written as they come."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from keras_t3d.atomic import written_beside
from keras_t3d.inference.stream import WindowScores
from keras_t3d.inference.top_classes import top_classes

SUFFIXES = (".json", ".csv")
_COLUMNS = ("video", "start", "end", "class", "probability")

Write = Callable[[dict[str, Any]], None]


def window_record(
    video: str, scores: WindowScores, class_names: Sequence[str], top: int
) -> dict[str, Any]:
    """Returns what is told of a window: video, times in seconds, its most probable classes."""
    return {
        "video": video,
        "start": round(scores.start, 6),
        "end": round(scores.end, 6),
        "classes": class_records(top_classes(scores.probabilities, class_names, top)),
    }


def class_records(classes: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Returns (class name, probability) pairs as JSON values."""
    return [{"class": name, "probability": round(p, 6)} for name, p in classes]


@contextlib.contextmanager
def window_file(path: str | os.PathLike[str]) -> Iterator[Write]:
    """Opens a file for the records of windows; gives the function that adds one.

    Each record is written as it comes, so a file of any length needs no memory. The file is
    whole or absent: it is written beside, then renamed.

    Args:
        path: a `.json` file: an array with an object a window, as `window_record` returns;
            or a `.csv` file: a row a window and class, under the header
            `video,start,end,class,probability`.

    Raises:
        ValueError: if the path ends otherwise.

    Example:

    ```python
    with window_file("windows.csv") as write:
        for scores in stream_video(predictor, "film.mp4"):
            write(window_record("film.mp4", scores, predictor.class_names, top=5))
    ```
    """
    suffix = check_window_file(path)
    open_rows = _csv_rows if suffix == ".csv" else _json_array
    # A file name need not be UTF-8; what is not is written as \\udcff and the like.
    with (
        written_beside(path) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        open_rows(file) as write,
    ):
        yield write


def check_window_file(path: str | os.PathLike[str]) -> str:
    """Returns the suffix of a file for windows; refuses one of another kind, or a folder."""
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES or os.path.isdir(path):
        raise ValueError(
            "Expected a file that ends in .json or .csv, for example windows.csv. "
            f"Received: {os.fspath(path)}"
        )
    return suffix


@contextlib.contextmanager
def _csv_rows(file: TextIO) -> Iterator[Write]:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(_COLUMNS)

    def write(record: dict[str, Any]) -> None:
        for entry in record["classes"]:
            when = (record["video"], record["start"], record["end"])
            rows.writerow((*when, entry["class"], entry["probability"]))

    yield write


@contextlib.contextmanager
def _json_array(file: TextIO) -> Iterator[Write]:
    between = "[\n"

    def write(record: dict[str, Any]) -> None:
        nonlocal between
        file.write(between + json.dumps(record, ensure_ascii=False))
        between = ",\n"

    yield write
    file.write("[]\n" if between == "[\n" else "\n]\n")
