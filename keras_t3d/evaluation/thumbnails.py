"""Small pictures of videos, read from their shards."""

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


def middle_frames(records: SplitRecords, numbers: Iterable[int]) -> dict[int, bytes]:
    """Makes a thumbnail of the middle frame of some records; only these are decoded.

    Args:
        records: SplitRecords, see `keras_t3d.data.shards.damage.split_records`.
        numbers: int. Places of records in the split, counted over its shards.

    Returns:
        Dict from number to JPEG file, its longer side at most 192 pixels. A record whose
        middle frame is no picture is left out.

    Example:

    ```python
    middle_frames(split_records(shards, "test"), [0, 17])
    ```
    """
    read = shard_reader(records)
    after = np.cumsum(records.examples)  # the number after each shard's last record
    pictures = {}
    for number in sorted(set(numbers)):
        shard = int(np.searchsorted(after, number, side="right"))
        place = number - int(after[shard]) + records.examples[shard]
        for serialized in read(tf.constant(shard, tf.int64)).skip(place).take(1):
            frames = stored_video(serialized.numpy()).frames
            picture = _thumbnail(frames[len(frames) // 2])
            if picture is not None:
                pictures[number] = picture
    return pictures


def _thumbnail(frame: bytes) -> bytes | None:
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(frame)) as image:
            small = image.convert("RGB")
    except OSError:  # the views that were scored need not have held this frame
        return None
    small.thumbnail((_LONG_SIDE, _LONG_SIDE))
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
