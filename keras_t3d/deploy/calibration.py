"""Clips of the user's own shards for an export to work on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.clips.reader import load_clips
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet

_BATCH = 16


def first_clips(folder: str, spec: ClipSpec, most: int = _BATCH) -> np.ndarray:
    """Returns the first clips of the first split that has any, uint8 `(n, *spec.input_shape)`.

    Args:
        folder: of shards, with labels or without.
        spec: ClipSpec of the model.
        most: int. How many clips at most. Defaults to 16.
    """
    shards = ShardSet.open(folder)
    batches = _unlabelled(shards, shards.splits[0], spec)
    clips = [clips for clips, _ in itertools.islice(batches, -(-most // _BATCH))]
    return np.concatenate(clips)[:most]


def held_out_clips(
    folder: str, spec: ClipSpec, class_names: tuple[str, ...], most: int
) -> tuple[str, bool, Iterator[tuple[np.ndarray, np.ndarray | None]]]:
    """Returns a split that the network was not trained on, if there is one, and its clips.

    Args:
        folder: of shards.
        spec: ClipSpec of the model.
        class_names: of the model. Labels of shards with other classes say nothing: clips come
            without.
        most: int. How many clips at most.

    Returns:
        `"test"`, `"val"`, or what else there is; whether its labels are of these classes; and an
        iterator of batches of clips and their labels, or None.

    Raises:
        ValueError: if `most` is less than 1.
    """
    if most < 1:
        raise ValueError(f"A report needs at least 1 clip, for example 200. Received: {most}")
    shards = ShardSet.open(folder)
    split = next((name for name in ("test", "val") if name in shards.splits), shards.splits[0])
    labelled = tuple(shards.class_names or ()) == tuple(class_names)
    read = _labelled if labelled else _unlabelled

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        left = most
        for clips, labels in read(shards, split, spec):
            yield clips[:left], None if labels is None else labels[:left]
            left -= len(clips)
            if left <= 0:
                return

    return split, labelled, batches()


def _labelled(
    shards: ShardSet, split: str, spec: ClipSpec
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    with damage_named(shards):
        yield from load_clips(shards, split, spec, _BATCH).as_numpy_iterator()


def _unlabelled(
    shards: ShardSet, split: str, spec: ClipSpec
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    with damage_named(shards):
        for batch in load_clips(shards, split, spec, _BATCH, labelled=False).as_numpy_iterator():
            yield batch["clips"], None
