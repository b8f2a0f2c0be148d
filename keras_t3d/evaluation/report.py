"""The files of an evaluation."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from keras_t3d.atomic import written_beside
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.evaluation.charts import confusion_png
from keras_t3d.evaluation.metrics import compute_metrics, confusion
from keras_t3d.evaluation.page import page, shown_videos
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.tables import confusion_csv, per_class_csv, predictions_csv
from keras_t3d.evaluation.thumbnails import middle_frames

FILES = (
    "metrics.json",
    "predictions.csv",
    "per_class.csv",
    "confusion.csv",
    "confusion.png",
    "index.html",  # last: where it is, all are
)


def write_report(
    scores: VideoScores,
    out: str | os.PathLike[str],
    protocol: dict[str, Any],
    records: SplitRecords | None = None,
) -> dict[str, Any]:
    """Writes the files of `FILES`; `index.html`, for people, is written last.

    Args:
        scores: VideoScores.
        out: new or empty folder to write to.
        protocol: dict of plain values. How the scores came about (model, split,
            views, crops, ...); stands in `metrics.json` and on the page, so that a
            figure is never without it.
        records: SplitRecords that were scored, which the page's pictures are read from.
            Defaults to `None`: no pictures.

    Returns:
        What `metrics.json` holds.

    Raises:
        ValueError: if `out` is a file, or a folder that holds files.

    Example:

    ```python
    write_report(scores, "report", {"model": "best.keras", "split": "test"})
    ```
    """
    folder = pathlib.Path(out)
    check_report_folder(folder)
    metrics = {"protocol": protocol, **compute_metrics(scores)}
    matrix = confusion_png(confusion(scores), scores.class_names)
    texts = {
        "metrics.json": json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "predictions.csv": predictions_csv(scores),
        "per_class.csv": per_class_csv(metrics["per_class"]),
        "confusion.csv": confusion_csv(confusion(scores), scores.class_names),
        "index.html": page(metrics, scores, matrix, _pictures(scores, records)),
    }
    # A file's name need not be UTF-8; what is not is written as \udcff and the like.
    files = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    files["confusion.png"] = matrix
    for name in FILES:
        with written_beside(folder / name) as part:
            part.write_bytes(files[name])
    return metrics


def _pictures(scores: VideoScores, records: SplitRecords | None) -> dict[int, bytes]:
    """The middle frames of the videos that the page shows, by the video's number."""
    if records is None or scores.middle_records is None:
        return {}
    record_of = {video: int(scores.middle_records[video]) for video in shown_videos(scores)}
    frames = middle_frames(records, record_of.values())
    return {video: frames[number] for video, number in record_of.items() if number in frames}


def check_report_folder(out: str | os.PathLike[str]) -> None:
    """Raises a ValueError where a folder is no place for a new report."""
    folder = pathlib.Path(out)
    cut_short = ".part-"  # what a killed evaluation may leave
    if folder.exists() and (
        not folder.is_dir() or any(not path.name.startswith(cut_short) for path in folder.iterdir())
    ):
        raise ValueError(
            "--out must be a new or empty folder for the report, for example runs/a/report. "
            f"Received: {folder}"
        )
