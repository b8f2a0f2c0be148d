"""Reads clips of shards to calibrate an export and to measure it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.clips.reader import load_clips
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.deploy.comparison import LabelledClips, take_clips

_BATCH = 16


def first_clips(directory: str | os.PathLike[str], clip_spec: ClipSpec, limit: int) -> np.ndarray:
    """Returns at most `limit` clips of the first split, uint8 (n, *clip_spec.input_shape)."""
    shards = ShardSet.open(os.fspath(directory))
    batches = _batches(shards, shards.splits[0], clip_spec, labelled=False)
    return np.concatenate([clips for clips, _ in take_clips(batches, limit)])


def held_out_clips(
    directory: str | os.PathLike[str],
    clip_spec: ClipSpec,
    class_names: tuple[str, ...],
    limit: int,
) -> tuple[str, bool, Iterator[LabelledClips]]:
    """Returns clips of a split on which the model was not trained, if there is one.

    Labels of other classes than the model's are ignored.

    Returns:
        The split's name, `"test"`, `"val"` or the first one; whether its labels are of these
        classes; and an iterator of batches of clips and their labels, or None.
    """
    shards = ShardSet.open(os.fspath(directory))
    split = next((name for name in ("test", "val") if name in shards.splits), shards.splits[0])
    is_labelled = tuple(shards.class_names or ()) == tuple(class_names)
    batches = _batches(shards, split, clip_spec, is_labelled)
    return split, is_labelled, take_clips(batches, limit)


def _batches(
    shards: ShardSet, split: str, clip_spec: ClipSpec, labelled: bool
) -> Iterator[LabelledClips]:
    batches: Any = load_clips(shards, split, clip_spec, _BATCH, labelled=labelled)
    with damage_named(shards):
        for batch in batches.as_numpy_iterator():
            yield batch if labelled else (batch["clips"], None)
