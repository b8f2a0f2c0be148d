"""Scores whole videos: the mean over their views."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np

from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.cut_videos import group_records_by_video
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation.accuracy import label_ranks
from keras_t3d.evaluation.options import EvaluationOptions
from keras_t3d.inference.predictor import NOT_FINITE, Predictor
from keras_t3d.progress import Progress


@dataclasses.dataclass(frozen=True)
class ViewCounts:
    """How many single views of each video are predicted correctly.

    Attributes:
        views: int64 array (videos,). Views scored.
        top1: int64 array (videos,). Views whose most probable class is the true one.
        top5: int64 array (videos,). Views with the true class among the five most probable.
    """

    views: np.ndarray
    top1: np.ndarray
    top5: np.ndarray


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """The class probabilities of each video of a split.

    Attributes:
        video_ids: one id per video, in the order of the shards.
        labels: int64 array (videos,). True class ids.
        probabilities: float32 array (videos, classes). Means over the views.
        class_names: one name per class.
        view_counts: results of single views; None if not known.
        middle_records: int64 array (videos,). Index in the split of the record that holds the
            middle of each video; None if not known.

    Raises:
        InvalidArgumentError: if shapes do not match, there is no video, a label is no class id,
            or a probability is not finite.

    Example:

    ```python
    VideoScores(("a",), np.array([1]), np.array([[0.2, 0.8]], np.float32), ("golf", "pour"))
    ```
    """

    video_ids: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    view_counts: ViewCounts | None = None
    middle_records: np.ndarray | None = None

    def __post_init__(self) -> None:
        videos, classes = len(self.video_ids), len(self.class_names)
        if (
            not videos
            or self.labels.shape != (videos,)
            or self.probabilities.shape != (videos, classes)
        ):
            raise InvalidArgumentError(
                "`labels` must have the shape (videos,) and `probabilities` (videos, classes), "
                f"with at least one video. Received: {videos} videos, {classes} classes, labels "
                f"of shape {self.labels.shape}, probabilities of shape {self.probabilities.shape}"
            )
        if self.labels.min() < 0 or self.labels.max() >= classes:
            wrong = int(np.argmax((self.labels < 0) | (self.labels >= classes)))
            raise InvalidArgumentError(
                f"`labels` must be class ids, 0 to {classes - 1}. "
                f"Received: {self.labels[wrong]} for {self.video_ids[wrong]!r}",
                argument="labels",
            )
        if not np.isfinite(self.probabilities).all():
            raise InvalidArgumentError(NOT_FINITE, argument="probabilities")


def score_videos(
    predictor: Predictor,
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    options: EvaluationOptions | None = None,
    *,
    progress: Progress | None = None,
) -> VideoScores:
    """Scores every video of a split: the mean of the probabilities of its views.

    Records that conversion cut from one video are scored as one video: the mean is over all
    views of all its records, whichever shards they are in. Memory does not grow with the number
    of views.

    Args:
        predictor: see `keras_t3d.inference.load_predictor`.
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        options: which views are scored; None for the defaults.
        progress: called with (records done, records in all).

    Returns:
        VideoScores.

    Raises:
        InvalidArgumentError: if the shards have no labels or other classes than the model,
            records of one video differ in their label, or the model predicts NaN.
        ValueError: if a record has no label or is damaged.

    Example:

    ```python
    predictor = keras_t3d.inference.load_predictor("best.keras")
    scores = score_videos(predictor, "shards", "test", EvaluationOptions(views=3))
    (scores.probabilities.argmax(-1) == scores.labels).mean()
    ```
    """
    options = options or EvaluationOptions()
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    check_labelled(shards)
    _check_class_names(predictor.class_names, shards)
    reader = ClipReader(shards, split, predictor.clip_spec, options.batch_size)
    batches = reader.as_views_of_records(num_views=options.num_clips, num_crops=options.num_crops)
    sums = _RecordSums(shards.num_videos(split), predictor.class_names)
    with damage_named(shards):
        for clips, labels, ids, indices in batches.as_numpy_iterator():
            sums.add(predictor.probabilities(clips), labels, ids, indices)
            if progress is not None:
                # The last record of a batch may have more views in the next one.
                progress(int(indices[-1]), sums.num_records)
    if progress is not None:
        progress(sums.num_records, sums.num_records)
    return sums.by_video()


class _RecordSums:
    """Sums over the views of each record."""

    def __init__(self, num_records: int, class_names: tuple[str, ...]) -> None:
        self.num_records = num_records
        self._class_names = tuple(class_names)
        self._probabilities = np.zeros((num_records, len(class_names)), np.float64)
        self._views, self._top1, self._top5, self._labels = (
            np.zeros(num_records, np.int64) for _ in range(4)
        )
        self._ids = [""] * num_records

    def add(
        self,
        probabilities: np.ndarray,
        labels: np.ndarray,
        ids: Iterable[bytes],
        indices: np.ndarray,
    ) -> None:
        """Adds a batch of views; `indices` are those of their records in the split."""
        names = [name.decode("utf-8", "surrogateescape") for name in ids]
        is_wrong = ~np.isfinite(probabilities).all(axis=1)
        if is_wrong.any():
            video = names[is_wrong.argmax()]
            raise InvalidArgumentError(f"{NOT_FINITE} Received: NaN for a view of {video!r}")
        ranks = label_ranks(probabilities, labels)
        np.add.at(self._probabilities, indices, probabilities)
        np.add.at(self._views, indices, 1)
        np.add.at(self._top1, indices, ranks == 0)
        np.add.at(self._top5, indices, ranks < 5)
        self._labels[indices] = labels
        for index, name in zip(indices, names, strict=True):
            self._ids[index] = name

    def by_video(self) -> VideoScores:
        """Returns the scores of all videos, from the sums over their records."""
        videos = group_records_by_video(self._ids)
        for video, records in videos.items():
            self._check_one_label(video, records)
        groups = list(videos.values())

        def totals(counts: np.ndarray) -> np.ndarray:
            return np.array([counts[records].sum() for records in groups], np.int64)

        views = totals(self._views)
        sums = np.stack([self._probabilities[records].sum(axis=0) for records in groups])
        return VideoScores(
            video_ids=tuple(videos),
            labels=np.array([self._labels[records[0]] for records in groups], np.int64),
            probabilities=(sums / views[:, None]).astype(np.float32),
            class_names=self._class_names,
            view_counts=ViewCounts(views, totals(self._top1), totals(self._top5)),
            middle_records=np.array([records[len(records) // 2] for records in groups]),
        )

    def _check_one_label(self, video: str, records: list[int]) -> None:
        labels = self._labels[records]
        if (labels != labels[0]).any():
            names = sorted({self._class_names[label] for label in labels})
            raise InvalidArgumentError(
                "Records with the same id are one video and must have the same label: give each "
                f"video its own id, or none. Received: {names} for {video!r}"
            )


def _check_class_names(class_names: tuple[str, ...], shards: ShardSet) -> None:
    """Raises an InvalidArgumentError unless the shards have these classes, in this order."""
    if tuple(class_names) == shards.class_names:
        return
    missing = [name for name in shards.class_names if name not in class_names]
    unknown = [name for name in class_names if name not in shards.class_names]
    detail = (
        f"the model lacks {missing[:5]}, the shards lack {unknown[:5]}"
        if missing or unknown
        else "the same names in another order"
    )
    raise InvalidArgumentError(
        f"The classes of the model and of {shards.folder}/labels.txt differ: {detail}. Convert "
        "shards with the model's classes, or train a model on these shards. "
        f"Received: {len(class_names)} and {len(shards.class_names)} classes"
    )
