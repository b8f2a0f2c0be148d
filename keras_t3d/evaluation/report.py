"""Writes the files of an evaluation."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from keras_t3d.atomic import check_new_folder, finished_files, written_beside
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation.charts import DARK, LIGHT, draw_confusion_matrix
from keras_t3d.evaluation.csv_tables import confusion_csv, per_class_csv, predictions_csv
from keras_t3d.evaluation.html_report import Pictures, render_html, shown_videos
from keras_t3d.evaluation.metrics import compute_metrics, confusion_counts
from keras_t3d.evaluation.previews import make_previews
from keras_t3d.evaluation.scores import VideoScores
from keras_t3d.evaluation.thumbnails import make_thumbnails
from keras_t3d.fonts import font_families

FILES = (
    "metrics.json",
    "predictions.csv",
    "per_class.csv",
    "confusion.csv",
    "confusion.png",
    "index.html",  # written last: if it exists, all others do
)


def write_report(
    scores: VideoScores,
    out: str | os.PathLike[str],
    protocol: dict[str, Any],
    records: SplitRecords | None = None,
    *,
    previews: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes an HTML report, metrics as JSON and tables as CSV; `index.html` is written last.

    Args:
        scores: scores of the videos.
        out: new or empty folder.
        protocol: how the videos were scored (model, split, views, crops, ...), as JSON values.
            It is part of `metrics.json` and of the HTML report.
        records: records that were scored, from which thumbnails are read; None for a report
            without thumbnails.
        previews: whether the page holds the middle three seconds of the videos that it shows, to
            play, instead of a frame: about 3 MB more.
        overwrite: whether `out` may hold an earlier report, which is replaced.

    Returns:
        The content of `metrics.json`.

    Raises:
        InvalidArgumentError: if `out` is a file, or a folder that contains files.

    Example:

    ```python
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    scores = VideoScores(("a", "b"), np.array([1, 1]), probabilities, ("golf", "pour"))
    write_report(scores, "report", {"model": "best.keras", "split": "test"})
    ```
    """
    folder = pathlib.Path(out)
    check_report_folder(folder, overwrite)
    metrics = {"protocol": protocol, **compute_metrics(scores)}
    counts = confusion_counts(scores)
    families = font_families(scores.class_names)
    light, dark = (
        draw_confusion_matrix(counts, scores.class_names, palette, families)
        for palette in (LIGHT, DARK)
    )
    texts = {
        "metrics.json": json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "predictions.csv": predictions_csv(scores),
        "per_class.csv": per_class_csv(metrics["per_class"]),
        "confusion.csv": confusion_csv(counts, scores.class_names),
        "index.html": render_html(
            metrics, scores, (light, dark), _pictures(scores, records, previews)
        ),
    }
    # File names need not be UTF-8; other bytes are written as \udcff and the like.
    files = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    files["confusion.png"] = light
    (folder / FILES[-1]).unlink(missing_ok=True)  # the earlier report is no longer complete
    for name in FILES:
        with written_beside(folder / name) as part:
            part.write_bytes(files[name])
    return metrics


def check_report_folder(folder: pathlib.Path, overwrite: bool) -> None:
    """Raises an InvalidArgumentError unless a report can be written to a folder.

    Args:
        folder: folder of the report.
        overwrite: whether it may hold an earlier report, and nothing else.
    """
    names = finished_files(folder)
    holds_report = bool(names) and names <= set(FILES)
    if holds_report and overwrite:
        return
    if holds_report:
        raise InvalidArgumentError(
            "`out` holds an earlier report: name a new folder, or add `overwrite` to replace it. "
            f"Received: {folder}",
            argument="out",
        )
    check_new_folder(folder, "out")


def _pictures(scores: VideoScores, records: SplitRecords | None, previews: bool) -> Pictures:
    """Returns what the report shows of its videos."""
    if records is None or scores.middle_records is None:
        return Pictures()
    record_of = {video: int(scores.middle_records[video]) for video in shown_videos(scores)}
    makers = (make_thumbnails, make_previews) if previews else (make_thumbnails,)
    made = [make(records, record_of.values()) for make in makers]
    return Pictures(
        *({video: files[i] for video, i in record_of.items() if i in files} for files in made)
    )
