"""JHMDB's videos as outputs of the frozen stages of `t3d_lite0`, for studies of later layers."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from imagenet_jhmdb import split_shards

from keras_t3d import ClipSpec
from keras_t3d.data import Augmentation, ClipReader, ReadOptions, ShardSet
from keras_t3d.models import T3DLite0
from keras_t3d.models.frozen_stages import split_after_frozen
from keras_t3d.models.registry import published_weights
from keras_t3d.optimization import freeze_batch_norms
from keras_t3d.training.stored_outputs import stored_outputs

PIXELS = 128
VIEWS = 3
LAST_FROZEN = "stage5"


@dataclasses.dataclass(frozen=True)
class Videos:
    """All videos.

    Attributes:
        values: float16 (views, videos, *shape), outputs of the frozen stages; the last view is
            the centre.
        labels: int64 (videos,).
        rows: the manifest's row of each video.
        class_names: names of the classes.
        pixels: height and width of the frames.
    """

    values: np.ndarray
    labels: np.ndarray
    rows: list[dict[str, str]]
    class_names: tuple[str, ...]
    pixels: int = PIXELS

    def centre(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the centre views of some videos."""
        return self.values[-1][numbers]


def read_videos(
    folder: Path,
    out: Path,
    options: Mapping[str, Any],
    outputs: str = "outputs",
    pixels: int = PIXELS,
) -> Videos:
    """Computes the outputs of the frozen stages, or opens them.

    Args:
        folder: JHMDB with its manifest.csv.
        out: folder of the shards, and of what is stored.
        options: options of the network that has the stages.
        outputs: name of the folder of the outputs in `out`.
        pixels: height and width of the frames.
    """
    shards = ShardSet.open(split_shards(folder, out, 1))  # both sides together are all videos
    network, beginning, _ = frozen_stages(options, shards.class_names, pixels)
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["file"]).stem: row for row in csv.DictReader(file)}
    values, labels, names = [], [], []
    for split in ("train", "test"):
        random = ClipReader(
            shards,
            split,
            network.clip_spec,
            1,
            training=True,
            augmentation=Augmentation(crop="random_resized", min_area=0.4),
            options=ReadOptions(repeat=True),
        )
        centre = ClipReader(shards, split, network.clip_spec, 8)
        views = stored_outputs(beginning, random, VIEWS, out / outputs)
        middle = stored_outputs(beginning, centre, 1, out / outputs)
        values.append(np.concatenate([views.values, middle.values]))
        labels.append(middle.labels)
        for _, _, ids, _ in centre.as_views_of_records().as_numpy_iterator():
            names += [Path(name.decode()).stem for name in ids]
    return Videos(
        np.concatenate(values, axis=1),
        np.concatenate(labels),
        [rows[name] for name in names],
        shards.class_names,
        pixels,
    )


def frozen_stages(
    options: Mapping[str, Any], class_names: tuple[str, ...], pixels: int = PIXELS
) -> tuple[Any, keras.Model, keras.Model]:
    """Returns a network from ImageNet, its frozen stages, and what follows them."""
    start = published_weights("t3d_lite0", "imagenet")
    spec = ClipSpec(16, 2, pixels, pixels, mean=start.mean, std=start.std)
    network = T3DLite0(
        spec.input_shape,
        len(class_names),
        class_names=class_names,
        clip_spec=spec,
        weights="imagenet",
        pooling="avg_deviation",
        dropout=0.3,
        **options,
    )
    last = network.get_layer(network.stages[LAST_FROZEN])
    for layer in network.layers[: network.layers.index(last) + 1]:
        layer.trainable = False
    freeze_batch_norms(network)
    parts = split_after_frozen(network)
    if parts is None:
        raise ValueError(f"nothing of {network.name} is frozen")
    return network, *parts


def official(videos: Videos, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of the training and test videos of an official split."""
    sides = np.array([row[f"split{split}"] for row in videos.rows])
    return np.flatnonzero(sides == "train"), np.flatnonzero(sides == "test")


def held_out_films(videos: Videos, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns split 1's training videos, of three quarters of the films and of the others."""
    train, _ = official(videos, 1)
    films = np.array([row["source_group"] for row in videos.rows])[train]
    names = np.random.default_rng(number).permutation(np.unique(films))
    is_held_out = np.isin(films, names[: len(names) // 4])
    return train[~is_held_out], train[is_held_out]


def share(labels: np.ndarray, numbers: np.ndarray, percent: int, seed: int) -> np.ndarray:
    """Returns a share of some videos, of each class alike and at least one."""
    random = np.random.default_rng(seed)
    kept = []
    for label in np.unique(labels[numbers]):
        own = random.permutation(numbers[labels[numbers] == label])
        kept.append(own[: max(1, round(len(own) * percent / 100))])
    return np.concatenate(kept)
