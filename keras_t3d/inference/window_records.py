"""Writes the predictions of windows to a JSON or CSV file, one by one."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from keras_t3d.atomic import check_file_path, written_beside
from keras_t3d.inference.predictor import top_classes
from keras_t3d.inference.window_prediction import WindowPrediction

_COLUMNS = ("video", "start", "end", "class", "probability")

WriteRecord = Callable[[dict[str, Any]], None]


def window_record(
    video: str, window: WindowPrediction, class_names: Sequence[str], top: int
) -> dict[str, Any]:
    """Returns the prediction of a window as JSON values.

    Args:
        video: name of the video.
        window: the prediction.
        class_names: one name per class.
        top: how many classes to include.

    Returns:
        Dict of `video`, `start` and `end` in seconds, and `classes`, a list of dicts of `class`
        and `probability`, most probable first.
    """
    return {
        "video": video,
        "start": round(window.start, 6),
        "end": round(window.end, 6),
        "classes": class_records(top_classes(window.probabilities, class_names, top)),
    }


def class_records(classes: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Returns (class name, probability) pairs as JSON values."""
    return [{"class": name, "probability": round(p, 6)} for name, p in classes]


@contextlib.contextmanager
def window_file(path: str | os.PathLike[str]) -> Iterator[WriteRecord]:
    """Opens a file for the records of windows.

    Records are written at once, so that memory does not grow with the file. The file appears
    when the block ends without an exception.

    Args:
        path: a `.json` file, an array of what `window_record` returns; or a `.csv` file, one row
            per window and class, with the header `video,start,end,class,probability`.

    Yields:
        Function that writes what `window_record` returns.

    Raises:
        InvalidArgumentError: if the path has another suffix.

    Example:

    ```python
    predictor = load_predictor("t3d.tflite")
    with window_file("windows.csv") as write:
        for window in stream_video(predictor, "film.mp4"):
            write(window_record("film.mp4", window, predictor.class_names, top=5))
    ```
    """
    check_file_path(path, "path", "windows.json", "windows.csv")
    open_rows = _csv_rows if pathlib.Path(path).suffix.lower() == ".csv" else _json_array
    # File names need not be UTF-8; other bytes are written as \\udcff and the like.
    with (
        written_beside(path) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        open_rows(file) as write,
    ):
        yield write


@contextlib.contextmanager
def _csv_rows(file: TextIO) -> Iterator[WriteRecord]:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(_COLUMNS)

    def write(record: dict[str, Any]) -> None:
        for entry in record["classes"]:
            when = (record["video"], record["start"], record["end"])
            rows.writerow((*when, entry["class"], entry["probability"]))

    yield write


@contextlib.contextmanager
def _json_array(file: TextIO) -> Iterator[WriteRecord]:
    separator = "[\n"

    def write(record: dict[str, Any]) -> None:
        nonlocal separator
        file.write(separator + json.dumps(record, ensure_ascii=False))
        separator = ",\n"

    yield write
    file.write("[]\n" if separator == "[\n" else "\n]\n")
