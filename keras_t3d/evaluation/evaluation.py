"""Evaluates a model on the videos of a split."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from keras_t3d.atomic import new_folder
from keras_t3d.data.inspection import warn_of_missing_classes
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.evaluation.options import EvaluationOptions
from keras_t3d.evaluation.report import check_report_folder, write_report
from keras_t3d.evaluation.scores import score_videos
from keras_t3d.inference.load import load_predictor
from keras_t3d.progress import Progress
from keras_t3d.version import __version__


def evaluate(
    model: Any,
    shards: str | os.PathLike[str],
    split: str,
    out: str | os.PathLike[str],
    options: EvaluationOptions | None = None,
    *,
    previews: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores every video of a split and writes the report.

    Args:
        model: as for `keras_t3d.inference.load_predictor`.
        shards: folder that `convert` wrote.
        split: `"train"`, `"val"` or `"test"`.
        out: folder for the report, new or empty.
        options: which views are scored; None for the defaults.
        previews: whether the report plays the videos that it shows, see `write_report`.
        overwrite: whether `out` may hold an earlier report, which is replaced.
        progress: called with (records done, records in all).

    Returns:
        The content of `metrics.json`.

    Raises:
        InvalidArgumentError: if `out` is not empty, or model and shards do not match, see
            `score_videos`.

    Warns:
        DatasetWarning: if classes have no videos in the split.

    Example:

    ```python
    metrics = keras_t3d.evaluation.evaluate(
        "best.keras", "shards/ucf101", "test", "report", EvaluationOptions(views=10, crops=3)
    )
    metrics["top1"]
    ```
    """
    options = options or EvaluationOptions()
    folder = pathlib.Path(out)
    check_report_folder(folder, overwrite)
    shard_set = ShardSet.open(shards)
    shard_set.check_split(split)
    warn_of_missing_classes(shard_set, [split])
    predictor = load_predictor(model)
    with new_folder(folder, "out"):  # fails before the work if it cannot be written
        scores = score_videos(predictor, shard_set, split, options, progress=progress)
    is_path = isinstance(model, (str, os.PathLike))
    protocol = {
        "model": os.fspath(model) if is_path else type(model).__name__,
        "shards": os.fspath(shards),
        "split": split,
        "protocol": options.protocol,
        "scored": options.description(),
        "views": options.num_clips,
        "crops": options.num_crops,
        "records": shard_set.num_videos(split),
        "clip_spec": predictor.clip_spec.get_config(),
        "keras_t3d": __version__,
    }
    records = split_records(shard_set, split)
    return write_report(scores, out, protocol, records, previews=previews, overwrite=overwrite)
