"""Predicts the classes of many videos: one after the other, or to a file."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_t3d.data.sources.named_videos import VideoSource, named_videos
from keras_t3d.errors import check_integer
from keras_t3d.inference.bulk import tables
from keras_t3d.inference.bulk.engine import VideoResult, video_results
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.part_file import Row
from keras_t3d.inference.bulk.result_file import BulkReport, Computation, Rows, Work, write_results
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.predictor import top_classes
from keras_t3d.inference.window_records import class_records
from keras_t3d.progress import Progress

_COLUMNS = ("video", "class", "probability", "views", "damage", "error")


def predict_videos(
    model: Any, videos: VideoSource, options: BulkOptions | None = None
) -> Iterator[VideoResult]:
    """Predicts the classes of many videos.

    Videos are decoded in processes of their own, ahead of the model, and views of several videos
    are one batch. Memory does not grow with the number of videos.

    Args:
        model: as for `predict_video`.
        videos: a path or several, of videos, of folders, which stand for all videos below them,
            and of csv files with the column `path`, and `start` and `end` for spans, in seconds.
        options: BulkOptions; None means the default of each option.

    Yields:
        A VideoResult for each video, in their order; each video once.

    Raises:
        InvalidArgumentError: if an argument is invalid, or the model predicts NaN.
        SourceError: if a csv file is malformed.

    Example:

    ```python
    predictor = keras_t3d.inference.load_predictor("t3d.tflite")
    for result in keras_t3d.inference.predict_videos(predictor, "films"):
        if result.error is None:
            print(result.video, predictor.class_names[result.values.argmax()])
    ```
    """
    listed = named_videos(videos)
    predictor = load_predictor(model)
    return video_results(
        predictor.probabilities, predictor.clip_spec, listed, options or BulkOptions()
    )


def write_predictions(
    model: Any,
    videos: VideoSource,
    out: str | os.PathLike[str],
    options: BulkOptions | None = None,
    *,
    top: int = 5,
    progress: Progress | None = None,
) -> BulkReport:
    """Writes the classes of many videos to a file.

    Results are kept in `OUT.part` as they come. If the process is killed, call it again with the
    same arguments: the file is the same, byte for byte, as without the interruption, if the
    model computes the same from the same batch.

    Args:
        model: as for `predict_videos`.
        videos: as for `predict_videos`.
        out: a `.jsonl` file, one object per video; a `.csv` file, one line per video and class;
            or a `.parquet` file, one row per video.
        options: BulkOptions; None means the default of each option.
        top: how many classes to write.
        progress: called with (videos done, videos in all).

    Returns:
        A BulkReport.

    Raises:
        InvalidArgumentError: as `predict_videos` does, and if `OUT.part` holds results of another
            model, of other videos or options.
        SourceError: if a csv file is malformed.
        MissingPackageError: if `out` is a Parquet file and pyarrow is not installed.

    Example:

    ```python
    report = keras_t3d.inference.write_predictions("t3d.tflite", "films", "scores.csv")
    report.unreadable  # 2
    ```
    """
    return write_results(predictions(top), model, videos, out, options or BulkOptions(), progress)


def predictions(top: int) -> Work:
    """Returns the work of writing the most probable classes of each video.

    Args:
        top: how many classes.
    """
    check_integer("top", top, 1, 5)
    return Work("predictions", functools.partial(_load, top=top), _WRITERS, {"top": top})


def _load(model: Any, top: int) -> Computation:
    predictor = load_predictor(model)
    row = functools.partial(_row, class_names=predictor.class_names, top=top)
    return Computation(predictor.probabilities, predictor.clip_spec, row)


def _row(result: VideoResult, class_names: Sequence[str], top: int) -> Row:
    classes = [] if result.values is None else top_classes(result.values, class_names, top)
    return {
        "video": result.video,
        "classes": class_records(classes),
        "views": result.num_views,
        "damage": result.damage,
        "error": result.error,
    }


def _write_json_lines(rows: Rows, path: pathlib.Path) -> None:
    tables.write_json_lines(rows(), path)


def _write_csv(rows: Rows, path: pathlib.Path) -> None:
    tables.write_csv(_csv_lines(rows()), path)


def _csv_lines(rows: Iterable[Row]) -> Iterator[Sequence[Any]]:
    yield _COLUMNS
    for row in rows:
        of_video = (row["views"], row["damage"], row["error"])
        for entry in row["classes"] or [{"class": None, "probability": None}]:
            yield row["video"], entry["class"], entry["probability"], *of_video


def _write_parquet(rows: Rows, path: pathlib.Path) -> None:
    import pyarrow

    columns = {
        "video": pyarrow.string(),
        "classes": pyarrow.list_(
            pyarrow.struct({"class": pyarrow.string(), "probability": pyarrow.float64()})
        ),
        "views": pyarrow.int32(),
        "damage": pyarrow.string(),
        "error": pyarrow.string(),
    }
    tables.write_parquet(rows(), pyarrow.schema(columns), path)


_WRITERS = {
    "scores.jsonl": _write_json_lines,
    "scores.csv": _write_csv,
    "scores.parquet": _write_parquet,
}
