"""Shards to batches of evaluation views, with tf.data."""

from __future__ import annotations

import os

import tensorflow as tf

from keras_t3d.clips import (
    ClipSpec,
    clip_frames_tensorflow,
    crop_positions,
    resize_and_crop_tensorflow,
)
from keras_t3d.data.arguments import check_whole, opened
from keras_t3d.data.reading import Record, finished, records_in_order
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.shard_set import ShardSet


def load_views(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    num_views: int = 1,
    num_crops: int = 1,
) -> tf.data.Dataset:
    """Loads the evaluation views of every video: `num_views` starts x `num_crops` crops.

    The starts are spread over the whole video, both ends reached. The order is
    that of the shards, a video's views next to each other; two runs give the
    same bytes.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec.
        batch_size: int. Views in a batch.
        num_views: int. Clips a video. Defaults to `1`, the middle of the video.
        num_crops: int. 1, 3 or 5, see `keras_t3d.clips.crop_positions`.
            Defaults to `1`, the centre.

    Returns:
        A `tf.data.Dataset` of (clips, labels, video ids): uint8
        `(batch, *spec.input_shape)`, int64 `(batch,)` and strings `(batch,)`.

    Raises:
        ValueError: as `load_clips`.
    """
    shards = opened(shards, split, spec)
    check_whole("batch_size", batch_size, 1)
    check_whole("num_views", num_views, 1)
    landscape = crop_positions(num_crops, height=1, width=2)
    portrait = crop_positions(num_crops, height=2, width=1)

    def views(record: Record) -> tf.data.Dataset:
        num_frames = tf.size(record[fields.FRAMES], tf.int64)
        starts = _starts(num_frames, spec, num_views)
        is_landscape = record[fields.WIDTH] >= record[fields.HEIGHT]
        positions = tf.where(is_landscape, tf.constant(landscape), tf.constant(portrait))
        grid = tf.range(num_views * num_crops)
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(starts, grid // num_crops), tf.gather(positions, grid % num_crops))
        ).map(
            lambda start, position: (
                view(record, spec, start, position),
                record[fields.LABEL_INDEX],
                record[fields.VIDEO_ID],
            )
        )

    clips = records_in_order(shards, split_records(shards, split)).interleave(
        views, cycle_length=1, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    num_clips = shards.num_videos(split) * num_views * num_crops
    return finished(clips.batch(batch_size), -(-num_clips // batch_size))


def view(
    record: Record,
    spec: ClipSpec,
    start: tf.Tensor | None,
    position: tf.Tensor | tuple[int, int],
) -> tf.Tensor:
    """`take_view` of a record, decoding only the frames that the view takes."""
    encoded = record[fields.FRAMES]
    chosen = tf.gather(encoded, clip_frames_tensorflow(tf.size(encoded), spec, start))
    frames = tf.stack(
        [tf.io.decode_jpeg(chosen[index], channels=3) for index in range(spec.num_frames)]
    )
    return resize_and_crop_tensorflow(frames, spec, position)


def _starts(num_frames: tf.Tensor, spec: ClipSpec, num_views: int) -> tf.Tensor:
    """The TensorFlow form of `keras_t3d.clips.view_starts`."""
    last = tf.maximum(num_frames - spec.span, 0)
    if num_views == 1:
        return last[None] // 2
    gaps = num_views - 1
    return (2 * tf.range(num_views, dtype=tf.int64) * last + gaps) // (2 * gaps)
