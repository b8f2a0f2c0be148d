"""Scores of whole videos: the mean over their views."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from keras_t3d.data.clips.reader import ClipReader
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.evaluation.accuracy import label_ranks
from keras_t3d.evaluation.parts import records_by_video
from keras_t3d.evaluation.protocols import view_protocol
from keras_t3d.inference.predictor import Predictor
from keras_t3d.progress import Progress


@dataclasses.dataclass(frozen=True)
class ViewCounts:
    """What the model said of each view alone, counted by video.

    Attributes:
        views: int64 array (videos,). Views that were scored.
        top1: int64 array (videos,). Views whose best class is the true one.
        top5: int64 array (videos,). Views with the true class among the best five.
    """

    views: np.ndarray
    top1: np.ndarray
    top5: np.ndarray


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """What a model said of each video of a split.

    Attributes:
        video_ids: str, one a video, in the order of the shards.
        labels: int64 array (videos,). True class ids.
        probabilities: float32 array (videos, classes). Means over the views.
        class_names: str, one a class.
        view_counts: ViewCounts. Defaults to `None`: not known.
        middle_records: int64 array (videos,). Number of the record that holds each video's
            middle, counted over the shards of the split. Defaults to `None`: not known.

    Raises:
        ValueError: if sizes do not fit each other, there is no video, a label is no class
            id, or a probability is no number.
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
            raise ValueError(
                "Scores need at least one video, a label for each, and a probability for each "
                f"video and class. Received: {videos} videos, {classes} classes, labels of shape "
                f"{self.labels.shape}, probabilities of shape {self.probabilities.shape}"
            )
        if self.labels.min() < 0 or self.labels.max() >= classes:
            wrong = int(np.argmax((self.labels < 0) | (self.labels >= classes)))
            raise ValueError(
                f"To be evaluated, every video needs the id of its class, 0 to {classes - 1}. "
                f"Received: {self.labels[wrong]} for {self.video_ids[wrong]!r}"
            )
        if not np.isfinite(self.probabilities).all():
            raise ValueError(_NOT_FINITE)


_NOT_FINITE = (
    "The model gives probabilities that are no numbers (NaN): its training diverged. Train "
    "again with a lower learning rate."
)


def score_videos(
    predictor: Predictor,
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    *,
    protocol: str = "views",
    num_views: int | None = None,
    num_crops: int | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> VideoScores:
    """Scores every video of a split, averaging the probabilities of its views.

    The parts of a video that conversion cut are one video again: the mean is over all views
    of all parts, wherever they lie. Memory does not grow with the number of views.

    Args:
        predictor: Predictor, see `keras_t3d.inference.load_predictor`.
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        protocol: str. `"views"`, `"t3d"` or `"stc"`, see
            `keras_t3d.evaluation.protocols.view_protocol`. Defaults to `"views"`.
        num_views: int. For `"views"`: clips a record, spread over the whole of it.
            Defaults to `None`: 1.
        num_crops: int. For `"views"`: 1, 3 or 5 crops of each clip. Defaults to `None`: 1.
        batch_size: int. Views scored at once. Defaults to `8`.
        progress: called with (records done, records in all). Defaults to `None`.

    Returns:
        VideoScores.

    Raises:
        ValueError: if the shards have no labels or other classes than the model, a record
            has no label or is damaged, parts of a video differ in their label, the protocol
            is unknown or sets itself what is given, or the model gives no numbers.

    Example:

    ```python
    scores = score_videos(load_predictor("best.keras"), "shards", "test", num_views=3)
    (scores.probabilities.argmax(-1) == scores.labels).mean()
    ```
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    check_labelled(shards)
    check_class_names(predictor.class_names, shards)
    chosen = view_protocol(protocol, num_views, num_crops)
    reader = ClipReader(shards, split, predictor.clip_spec, batch_size)
    batches = reader.as_views(num_views=chosen.num_views, num_crops=chosen.num_crops)
    total = shards.num_videos(split)
    sums = np.zeros((total, len(predictor.class_names)), np.float64)
    views, top1, top5, labels = (np.zeros(total, np.int64) for _ in range(4))
    ids = [b""] * total
    with damage_named(shards):
        for clips, view_labels, view_ids, numbers in batches.as_numpy_iterator():
            probabilities = predictor.probabilities(clips)
            wrong = ~np.isfinite(probabilities).all(axis=1)
            if wrong.any():
                video = _text(view_ids[wrong.argmax()])
                raise ValueError(f"{_NOT_FINITE} Received: NaN for a view of {video!r}")
            ranks = label_ranks(probabilities, view_labels)
            np.add.at(sums, numbers, probabilities)
            np.add.at(views, numbers, 1)
            np.add.at(top1, numbers, ranks == 0)
            np.add.at(top5, numbers, ranks < 5)
            labels[numbers] = view_labels
            for number, name in zip(numbers, view_ids, strict=True):
                ids[number] = name
            if progress is not None:
                progress(int(numbers[-1]), total)  # its last record may have more views
    if progress is not None:
        progress(total, total)
    videos = records_by_video([_text(name) for name in ids])
    _check_one_label(videos, labels, predictor.class_names)
    return VideoScores(
        video_ids=tuple(videos),
        labels=np.array([labels[records[0]] for records in videos.values()], np.int64),
        probabilities=np.stack(
            [sums[records].sum(axis=0) / views[records].sum() for records in videos.values()]
        ).astype(np.float32),
        class_names=tuple(predictor.class_names),
        view_counts=ViewCounts(
            *(
                np.array([counts[records].sum() for records in videos.values()], np.int64)
                for counts in (views, top1, top5)
            )
        ),
        middle_records=np.array([records[len(records) // 2] for records in videos.values()]),
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _check_one_label(
    videos: dict[str, list[int]], labels: np.ndarray, class_names: tuple[str, ...]
) -> None:
    for video, records in videos.items():
        if (labels[records] != labels[records[0]]).any():
            names = sorted({class_names[label] for label in labels[records]})
            raise ValueError(
                "Records of one id are parts of one video and must have one label. Give each "
                f"video an id of its own, or none. Received: {names} for {video!r}"
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
