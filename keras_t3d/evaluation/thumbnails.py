"""Thumbnails of videos, read from their shards."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_t3d.data.clips.tensorflow_records import shard_reader
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.record import stored_video

_LONG_SIDE = 192  # pixels


def make_thumbnails(records: SplitRecords, indices: Iterable[int]) -> dict[int, bytes]:
    """Returns JPEG thumbnails of the middle frames of some records; only these are decoded.

    A record whose middle frame does not decode is left out.

    Args:
        records: see `keras_t3d.data.shards.damage.split_records`.
        indices: indices of records in the split, counted over its shards.
    """
    read = shard_reader(records)
    ends = np.cumsum(records.examples)  # index after the last record of each shard
    thumbnails = {}
    for index in sorted(set(indices)):
        shard = int(np.searchsorted(ends, index, side="right"))
        offset = index - int(ends[shard]) + records.examples[shard]
        for serialized in read(tf.constant(shard, tf.int64)).skip(offset).take(1):
            frames = stored_video(serialized.numpy()).frames
            thumbnail = _thumbnail(frames[len(frames) // 2])
            if thumbnail is not None:
                thumbnails[index] = thumbnail
    return thumbnails


def _thumbnail(frame: bytes) -> bytes | None:
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(frame)) as image:
            small = image.convert("RGB")
    except OSError:  # a damaged frame, which no scored view needs to hold
        return None
    small.thumbnail((_LONG_SIDE, _LONG_SIDE))
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
