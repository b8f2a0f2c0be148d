"""Scores of whole videos: the mean over their views."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.views import load_views
from keras_t3d.inference.predictor import Predictor

Progress = Callable[[int, int], None]  # called with (videos done, videos in all)


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """What a model said of each video of a split.

    Attributes:
        video_ids: str, one a video, in the order of the shards.
        labels: int64 array (videos,). True class ids.
        probabilities: float32 array (videos, classes).
        class_names: str, one a class.
    """

    video_ids: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]


def score_videos(
    predictor: Predictor,
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    *,
    num_views: int = 1,
    num_crops: int = 1,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> VideoScores:
    """Scores every video of a split, averaging the probabilities of its views.

    Args:
        predictor: Predictor, see `keras_t3d.inference.load_predictor`.
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        num_views: int. Clips a video, spread over the whole of it. Defaults to `1`.
        num_crops: int. 1, 3 or 5 crops of each clip. Defaults to `1`.
        batch_size: int. Views scored at once. Defaults to `8`.
        progress: called with (videos done, videos in all). Defaults to `None`.

    Returns:
        VideoScores.

    Raises:
        ValueError: if the shards' classes are not the model's.

    Example:

    ```python
    scores = score_videos(load_predictor("best.keras"), "shards", "test", num_views=3)
    (scores.probabilities.argmax(-1) == scores.labels).mean()
    ```
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    check_class_names(predictor.class_names, shards)
    views = load_views(
        shards,
        split,
        predictor.clip_spec,
        batch_size,
        num_views=num_views,
        num_crops=num_crops,
    )
    total = shards.num_videos(split)
    per_video = num_views * num_crops
    view_scores: list[np.ndarray] = []
    view_labels: list[np.ndarray] = []
    view_ids: list[bytes] = []
    for clips, labels, ids in views.as_numpy_iterator():
        view_scores.append(predictor.probabilities(clips))
        view_labels.append(labels)
        view_ids.extend(ids)
        if progress is not None:
            progress(len(view_ids) // per_video, total)
    # The views of a video lie next to each other.
    scores = np.concatenate(view_scores).reshape(total, per_video, -1)
    if not np.isfinite(scores).all():
        raise ValueError(
            "The model gives probabilities that are no numbers (NaN): its training diverged. Train "
            "again with a lower learning rate. "
            f"Received: {np.isnan(scores).any(axis=(1, 2)).sum()} of {total} videos without a score"
        )
    return VideoScores(
        video_ids=tuple(name.decode("utf-8", "surrogateescape") for name in view_ids[::per_video]),
        labels=np.concatenate(view_labels)[::per_video],
        probabilities=scores.mean(axis=1),
        class_names=predictor.class_names,
    )


def check_class_names(class_names: tuple[str, ...], shards: ShardSet) -> None:
    """Refuses shards whose classes are not the model's, name by name."""
    if tuple(class_names) == shards.class_names:
        return
    missing = [name for name in shards.class_names if name not in class_names]
    unknown = [name for name in class_names if name not in shards.class_names]
    detail = (
        f"the model lacks {missing[:5]}, the shards lack {unknown[:5]}"
        if missing or unknown
        else "the same names in another order"
    )
    raise ValueError(
        f"The classes of the model and of {shards.folder}/labels.txt differ: {detail}. Use shards "
        "converted with the model's classes, or train on these. "
        f"Received: {len(class_names)} and {len(shards.class_names)} classes"
    )
