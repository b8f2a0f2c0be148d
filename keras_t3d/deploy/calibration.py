"""Reads clips of shards to calibrate an export and to measure it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.clips.reader import load_clips
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet

_BATCH = 16


def first_clips(directory: str | os.PathLike[str], clip_spec: ClipSpec, limit: int) -> np.ndarray:
    """Returns the first clips of the first split that has any.

    Args:
        directory: shards, with or without labels.
        clip_spec: ClipSpec of the model.
        limit: maximum number of clips.

    Returns:
        uint8 array of shape (n, *clip_spec.input_shape).
    """
    shards = ShardSet.open(os.fspath(directory))
    batches = _unlabelled(shards, shards.splits[0], clip_spec)
    clips = [clips for clips, _ in itertools.islice(batches, -(-limit // _BATCH))]
    return np.concatenate(clips)[:limit]


def held_out_clips(
    directory: str | os.PathLike[str],
    clip_spec: ClipSpec,
    class_names: tuple[str, ...],
    limit: int,
) -> tuple[str, bool, Iterator[tuple[np.ndarray, np.ndarray | None]]]:
    """Returns clips of a split on which the model was not trained, if there is one.

    Args:
        directory: shards, with or without labels.
        clip_spec: ClipSpec of the model.
        class_names: classes of the model. Labels of other classes are ignored.
        limit: maximum number of clips, at least 1.

    Returns:
        The split's name, `"test"`, `"val"` or the first one; whether its labels are of these
        classes; and an iterator of batches of clips and their labels, or None.
    """
    shards = ShardSet.open(os.fspath(directory))
    split = next((name for name in ("test", "val") if name in shards.splits), shards.splits[0])
    is_labelled = tuple(shards.class_names or ()) == tuple(class_names)
    read = _labelled if is_labelled else _unlabelled

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        left = limit
        for clips, labels in read(shards, split, clip_spec):
            yield clips[:left], None if labels is None else labels[:left]
            left -= len(clips)
            if left <= 0:
                return

    return split, is_labelled, batches()


def _labelled(
    shards: ShardSet, split: str, clip_spec: ClipSpec
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    with damage_named(shards):
        yield from load_clips(shards, split, clip_spec, _BATCH).as_numpy_iterator()


def _unlabelled(
    shards: ShardSet, split: str, clip_spec: ClipSpec
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    batches = load_clips(shards, split, clip_spec, _BATCH, labelled=False)
    with damage_named(shards):
        for batch in batches.as_numpy_iterator():
            yield batch["clips"], None
