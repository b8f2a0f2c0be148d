"""The probe: a linear classifier on the features of a network trained on images."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from keras_t3d.atomic import check_file_path, written_beside
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation.accuracy import label_ranks
from keras_t3d.evaluation.confidence_intervals import confidence_intervals
from keras_t3d.evaluation.scores import score_videos
from keras_t3d.inference.load import load_predictor
from keras_t3d.models import create
from keras_t3d.models.registry import published_weights
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.progress import Progress
from keras_t3d.training.linear_head import clip_features, fit_head
from keras_t3d.training.probe_options import ProbeOptions


@dataclasses.dataclass(frozen=True)
class ProbeReport:
    """What a probe scores.

    Args:
        split: split that was scored.
        videos: its number of videos.
        top1: share of the videos whose most probable class is the true one.
        interval: 95 % interval of `top1`.
        chance: 1 / number of classes.

    Example:

    ```python
    print(ProbeReport("test", 30, 0.9, (0.8, 1.0), 1 / 6))
    ```
    """

    split: str
    videos: int
    top1: float
    interval: tuple[float, float]
    chance: float

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.videos} {self.split} videos: top-1 {self.top1:.4f} (95 % interval {low:.4f} to "
            f"{high:.4f}; chance {self.chance:.4f})"
        )


def probe(
    shards: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ProbeOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ProbeReport | None:
    """Fits a linear classifier to the features of a pretrained network, and saves both.

    The network itself is not trained: its features of the training videos are computed once, and
    the classifying layer is a logistic regression of them. The model file is one like any other:
    it can be evaluated, exported, or trained further (`keras-t3d train --init probe.keras`).

    Args:
        shards: folder that `convert` wrote.
        out: path of the new `.keras` file.
        options: network and clips; None for the defaults.
        progress: called with (training videos done, training videos in all).

    Returns:
        The accuracy on the test split, or on the val split if there are no test videos; None if
        there are neither.

    Raises:
        InvalidArgumentError: if the network has no such weights, the shards are smaller than its
            clips, or they have training videos of fewer than two classes.
        MissingPackageError: if the package of the weights is not installed.

    Example:

    ```python
    options = ProbeOptions(num_frames=8, size=32)  # clips of a size that small shards have
    report = keras_t3d.training.probe("shards", "probe.keras", options)
    ```
    """
    options = options or ProbeOptions()
    out = pathlib.Path(out)
    check_file_path(out, "out", "probe.keras")
    shard_set = ShardSet.open(shards)
    check_labelled(shard_set)
    _check_size(options.size, shard_set)
    network = _pretrained(options, shard_set.class_names)
    fit_head(network, *clip_features(network, shard_set, "train", options.batch_size, progress))
    with written_beside(out) as part:
        network.save(part)
    scored = next((split for split in ("test", "val") if split in shard_set.splits), None)
    return None if scored is None else accuracy(network, shard_set, scored)


def accuracy(network: VideoClassifier, shards: ShardSet, split: str) -> ProbeReport:
    """Scores the middle clip of every video of a split."""
    scores = score_videos(load_predictor(network), shards, split)
    ranks = label_ranks(scores.probabilities, scores.labels)
    classes = len(scores.class_names)
    low, high = confidence_intervals(ranks, scores.labels, classes)["top1"]
    top1 = float(np.mean(ranks == 0))
    return ProbeReport(split, len(ranks), top1, (low, high), 1 / classes)


def _pretrained(options: ProbeOptions, class_names: tuple[str, ...]) -> VideoClassifier:
    start = published_weights(options.network, options.weights)
    clip_spec = dataclasses.replace(options.clip_spec(), mean=start.mean, std=start.std)
    network: Any = create(
        options.network,
        clip_spec.input_shape,
        len(class_names),
        class_names=class_names,
        clip_spec=clip_spec,
        weights=options.weights,
        pooling="avg_deviation",
    )
    return network


def _check_size(size: int, shards: ShardSet) -> None:
    if shards.short_side < size:
        raise InvalidArgumentError(
            f"`size` must be at most {shards.short_side} pixels, the short side of the frames in "
            f"{shards.folder}; or convert the videos with short_side={size} or more. "
            f"Received: {size}",
            argument="size",
        )
