"""Evaluates a model on the videos of a split."""

from __future__ import annotations

import pathlib
from typing import Any

from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.evaluation.report import write_report
from keras_t3d.evaluation.scores import Progress, score_videos
from keras_t3d.inference.load import load_predictor


def evaluate(
    model: Any,
    shards: str,
    split: str,
    out: str,
    *,
    num_views: int = 1,
    num_crops: int = 1,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores every video of a split and writes the report.

    Args:
        model: what `keras_t3d.inference.load_predictor` takes.
        shards: folder that `keras-t3d convert` wrote.
        split: `"train"`, `"val"` or `"test"`.
        out: new or empty folder for the report.
        num_views: clips a video. Defaults to `1`.
        num_crops: 1, 3 or 5 crops of each clip. Defaults to `1`.
        batch_size: views scored at once. Defaults to `8`.
        progress: called with (videos done, videos in all). Defaults to `None`.

    Returns:
        What `metrics.json` holds.
    """
    _check_out(pathlib.Path(out))
    shard_set = ShardSet.open(shards)
    predictor = load_predictor(model)
    with damage_named(shard_set):
        scores = score_videos(
            predictor,
            shard_set,
            split,
            num_views=num_views,
            num_crops=num_crops,
            batch_size=batch_size,
            progress=progress,
        )
    protocol = {
        "model": str(model) if isinstance(model, str) else type(model).__name__,
        "shards": shards,
        "split": split,
        "views": num_views,
        "crops": num_crops,
        "clip_spec": predictor.clip_spec.get_config(),
    }
    return write_report(scores, out, protocol)


def _check_out(out: pathlib.Path) -> None:
    cut_short = ".part-"  # what a killed evaluation may leave
    if out.exists() and (
        not out.is_dir() or any(not path.name.startswith(cut_short) for path in out.iterdir())
    ):
        raise ValueError(
            "--out must be a new or empty folder for the report, for example runs/a/report. "
            f"Received: {out}"
        )
