"""Several evaluation views of every record, with tf.data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_t3d.clips import crop_positions
from keras_t3d.data.clips.clip import apply_transforms, model_inputs
from keras_t3d.data.clips.options import check_integer
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.tensorflow_phases import Record, decode_view, record_parser
from keras_t3d.data.clips.tensorflow_records import finish_dataset, records_in_order
from keras_t3d.data.clips.view_frames import dense_views, full_cover
from keras_t3d.data.shards import record as fields
from keras_t3d.errors import InvalidArgumentError


def view_batches(plan: ReadPlan, *, num_views: int | None, num_crops: int) -> tf.data.Dataset:
    """Returns batches of (clips, labels, record ids, record numbers), see ClipReader.as_views."""
    if plan.training or not plan.labelled:
        raise InvalidArgumentError(
            "Views need a reader with `training` False and `labelled` True. "
            f"Received: training={plan.training}, labelled={plan.labelled}",
            argument="training",
        )
    if num_views is not None:
        check_integer("num_views", num_views, 1)
    clip_spec = plan.clip_spec
    landscape = crop_positions(num_crops, height=1, width=2)
    portrait = crop_positions(num_crops, height=2, width=1)

    def clips_in(num_frames: np.ndarray) -> np.ndarray:
        if num_views is None:
            return full_cover(int(num_frames), clip_spec)
        return dense_views(int(num_frames), clip_spec, num_views)

    def encoded_views(number: tf.Tensor, record: Record) -> tf.data.Dataset:
        frames = tf.numpy_function(clips_in, [tf.size(record[fields.FRAMES])], tf.int64)
        frames = tf.ensure_shape(frames, (None, clip_spec.num_frames))
        is_landscape = record[fields.WIDTH] >= record[fields.HEIGHT]
        positions = tf.where(is_landscape, tf.constant(landscape), tf.constant(portrait))
        grid = tf.range(tf.shape(frames)[0] * num_crops)
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(frames, grid // num_crops), tf.gather(positions, grid % num_crops))
        ).map(lambda chosen, position: (number, record, chosen, position))

    def decoded(
        number: tf.Tensor, record: Record, frames: tf.Tensor, position: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        clip = decode_view(record, frames, position, 1.0, clip_spec)
        clip = apply_transforms(clip, plan.transforms)
        return model_inputs(clip), clip.label, record[fields.VIDEO_ID], number

    records = records_in_order(plan.records, record_parser(plan), plan.options.cache)
    # A view stays encoded until its turn: a long video is never whole in memory as pixels.
    views = records.enumerate().flat_map(encoded_views)
    clips = views.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    batches = clips.batch(plan.batch_size)
    if num_views is None:
        return finish_dataset(batches, tf.data.UNKNOWN_CARDINALITY)
    num_clips = plan.records.num_videos * num_views * num_crops
    return finish_dataset(batches, -(-num_clips // plan.batch_size))
