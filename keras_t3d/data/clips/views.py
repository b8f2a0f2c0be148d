"""Shards to batches of evaluation views, with tf.data."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from keras_t3d.clips import (
    CENTRE,
    ClipSpec,
    clip_frames_tensorflow,
    crop_positions,
    resize_and_crop_tensorflow,
)
from keras_t3d.data.clips.arguments import check_whole, opened
from keras_t3d.data.clips.reading import Record, checked_record, finished, records_in_order
from keras_t3d.data.clips.sampling import dense_views, full_cover
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet


def load_views(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    num_views: int | None = 1,
    num_crops: int = 1,
) -> tf.data.Dataset:
    """Loads the evaluation views of every record: `num_views` clips x `num_crops` crops.

    The order is that of the shards, a record's views next to each other; two runs give the
    same bytes.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec.
        batch_size: int. Views in a batch.
        num_views: int or None. Clips a record, spread over the whole of it, both ends
            reached (see `keras_t3d.data.clips.sampling.dense_views`); None takes the
            consecutive clips that cover every frame (see `full_cover` there), of
            which a long record has more. Defaults to `1`, the middle of the record.
        num_crops: int. 1, 3 or 5, see `keras_t3d.clips.crop_positions`.
            Defaults to `1`, the centre.

    Returns:
        A `tf.data.Dataset` of (clips, labels, video ids): uint8
        `(batch, *spec.input_shape)`, int64 `(batch,)` and strings `(batch,)`.

    Raises:
        ValueError: as `load_clips`.

    Example:

    ```python
    views = load_views("shards", "test", ClipSpec(), batch_size=32, num_views=5, num_crops=3)
    ```
    """
    views = load_numbered_views(
        shards, split, spec, batch_size, num_views=num_views, num_crops=num_crops
    )
    return views.map(lambda clips, labels, ids, numbers: (clips, labels, ids))


def load_numbered_views(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    num_views: int | None = 1,
    num_crops: int = 1,
) -> tf.data.Dataset:
    """Loads views as `load_views` does, and says which record each comes from.

    Ids do not tell: other writers' records may have none.

    Returns:
        A `tf.data.Dataset` of (clips, labels, video ids, record numbers); the last int64
        `(batch,)`, a record's place in the split, counted over its shards.
    """
    shards = opened(shards, split, spec)
    check_labelled(shards)
    check_whole("batch_size", batch_size, 1)
    if num_views is not None:
        check_whole("num_views", num_views, 1)
    landscape = crop_positions(num_crops, height=1, width=2)
    portrait = crop_positions(num_crops, height=2, width=1)

    def clips_in(num_frames: np.ndarray) -> np.ndarray:
        if num_views is None:
            return full_cover(int(num_frames), spec)
        return dense_views(int(num_frames), spec, num_views)

    def encoded_views(number: tf.Tensor, record: Record) -> tf.data.Dataset:
        frames = tf.numpy_function(clips_in, [tf.size(record[fields.FRAMES])], tf.int64)
        frames = tf.ensure_shape(frames, (None, spec.num_frames))
        is_landscape = record[fields.WIDTH] >= record[fields.HEIGHT]
        positions = tf.where(is_landscape, tf.constant(landscape), tf.constant(portrait))
        grid = tf.range(tf.shape(frames)[0] * num_crops)
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(frames, grid // num_crops), tf.gather(positions, grid % num_crops))
        ).map(
            lambda chosen, position: (
                tf.gather(record[fields.FRAMES], chosen),
                position,
                record[fields.LABEL_INDEX],
                record[fields.VIDEO_ID],
                number,
            )
        )

    def decoded(
        frames: tf.Tensor, position: tf.Tensor, label: tf.Tensor, name: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return _decoded_view(frames, spec, position), label, name, number

    records = records_in_order(split_records(shards, split), checked_record(shards))
    # A view stays encoded until its turn: a long video is never whole in memory as pixels.
    views = records.enumerate().flat_map(encoded_views)
    clips = views.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if num_views is None:
        return finished(clips.batch(batch_size), tf.data.UNKNOWN_CARDINALITY)
    num_clips = shards.num_videos(split) * num_views * num_crops
    return finished(clips.batch(batch_size), -(-num_clips // batch_size))


def centre_view(record: Record, spec: ClipSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """`take_view` of a record, decoding only the frames that it takes, and which they are."""
    encoded = record[fields.FRAMES]
    chosen = clip_frames_tensorflow(tf.size(encoded), spec)
    return _decoded_view(tf.gather(encoded, chosen), spec, CENTRE), chosen


def _decoded_view(
    encoded: tf.Tensor, spec: ClipSpec, position: tf.Tensor | tuple[int, int]
) -> tf.Tensor:
    frames = tf.stack(
        [tf.io.decode_jpeg(encoded[index], channels=3) for index in range(spec.num_frames)]
    )
    return resize_and_crop_tensorflow(frames, spec, position)
