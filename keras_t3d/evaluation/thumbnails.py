"""Thumbnails of videos, read from their shards."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_t3d.data.clips.tensorflow_records import shard_reader
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.record import StoredVideo, stored_video

LONG_SIDE = 192  # pixels


def make_thumbnails(records: SplitRecords, indices: Iterable[int]) -> dict[int, bytes]:
    """Returns JPEG thumbnails of the middle frames of some records; only these are decoded.

    A record whose middle frame does not decode is left out.

    Args:
        records: see `keras_t3d.data.shards.damage.split_records`.
        indices: indices of records in the split, counted over its shards.
    """
    thumbnails = {}
    for index, video in read_records(records, indices):
        thumbnail = _thumbnail(video.frames[len(video.frames) // 2])
        if thumbnail is not None:
            thumbnails[index] = thumbnail
    return thumbnails


def read_records(
    records: SplitRecords, indices: Iterable[int]
) -> Iterator[tuple[int, StoredVideo]]:
    """Yields the index and the content of some records, in the order of the split."""
    read = shard_reader(records)
    ends = np.cumsum(records.examples)  # index after the last record of each shard
    for index in sorted(set(indices)):
        shard = int(np.searchsorted(ends, index, side="right"))
        offset = index - int(ends[shard]) + records.examples[shard]
        for serialized in read(tf.constant(shard, tf.int64)).skip(offset).take(1):
            yield index, stored_video(serialized.numpy())


def _thumbnail(frame: bytes) -> bytes | None:
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(frame)) as image:
            small = image.convert("RGB")
    except OSError:  # a damaged frame, which no scored view needs to hold
        return None
    small.thumbnail((LONG_SIDE, LONG_SIDE))
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
