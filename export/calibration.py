"""Clips of the user's own shards for an export to work on."""

from __future__ import annotations

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.pipeline import load_clips
from keras_t3d.data.shards.damage import damage_named
from keras_t3d.data.shards.shard_set import ShardSet

_CLIPS = 16


def first_clips(folder: str, spec: ClipSpec) -> np.ndarray:
    """Returns the first clips of the first split that has any, uint8 `(n, *spec.input_shape)`."""
    shards = ShardSet.open(folder)
    with damage_named(shards):
        batches = load_clips(shards, shards.splits[0], spec, _CLIPS)
        clips, _ = next(batches.as_numpy_iterator())
    return clips
