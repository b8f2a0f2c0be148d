"""Evaluates a model on the videos of a split."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.evaluation.protocols import view_protocol
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
    *,
    protocol: str = "views",
    num_views: int | None = None,
    num_crops: int | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores every video of a split and writes the report.

    Args:
        model: what `keras_t3d.inference.load_predictor` takes.
        shards: folder that `keras-t3d convert` wrote.
        split: `"train"`, `"val"` or `"test"`.
        out: new or empty folder for the report.
        protocol: `"views"`, `"t3d"` or `"stc"`: which views are scored, see
            docs/evaluation.md. Defaults to `"views"`.
        num_views: for `"views"`: clips a video. Defaults to `None`: 1.
        num_crops: for `"views"`: 1, 3 or 5 crops of each clip. Defaults to `None`: 1.
        batch_size: views scored at once. Defaults to `8`.
        progress: called with (records done, records in all). Defaults to `None`.

    Returns:
        What `metrics.json` holds.

    Raises:
        ValueError: if something that is given does not fit, see `score_videos` and
            `write_report`.
    """
    check_report_folder(out)
    chosen = view_protocol(protocol, num_views, num_crops)
    shard_set = ShardSet.open(shards)
    predictor = load_predictor(model)
    with _made(pathlib.Path(out)):  # or a place that cannot be written fails after all the work
        scores = score_videos(
            predictor,
            shard_set,
            split,
            protocol=protocol,
            num_views=num_views,
            num_crops=num_crops,
            batch_size=batch_size,
            progress=progress,
        )
    is_path = isinstance(model, (str, os.PathLike))
    stated = {
        "model": os.fspath(model) if is_path else type(model).__name__,
        "shards": os.fspath(shards),
        "split": split,
        "protocol": chosen.name,
        "scored": chosen.description(),
        "views": chosen.num_views,
        "crops": chosen.num_crops,
        "records": shard_set.num_videos(split),
        "clip_spec": predictor.clip_spec.get_config(),
        "keras_t3d": __version__,
    }
    return write_report(scores, out, stated, split_records(shard_set, split))


@contextlib.contextmanager
def _made(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder; takes it away again if what follows fails."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            folder.rmdir()
        raise
