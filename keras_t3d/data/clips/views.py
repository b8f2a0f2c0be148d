"""Several evaluation views of every record: their frames, and their batches with tf.data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_t3d.clips import ClipSpec, clip_frames, crop_positions, view_starts
from keras_t3d.clips.frame_rate import frames_for_clips
from keras_t3d.data.clips.clip import apply_transforms, model_inputs
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python
from keras_t3d.data.clips.tensorflow_phases import Record, decode_view, parsed_records
from keras_t3d.data.clips.tensorflow_records import (
    autograph_for_transforms,
    finish_dataset,
    map_in_parallel,
)
from keras_t3d.data.shards import record as fields
from keras_t3d.errors import InvalidArgumentError, check_integer


def view_batches(plan: ReadPlan, *, num_views: int | None, num_crops: int) -> tf.data.Dataset:
    """Returns batches of (clips, labels, record ids, record numbers), see as_views_of_records."""
    if plan.training or not plan.labelled:
        raise InvalidArgumentError(
            "Views need a reader with `training` False and `labelled` True. "
            f"Received: training={plan.training}, labelled={plan.labelled}",
            argument="training",
        )
    if num_views is not None:
        check_integer("num_views", num_views, 1, 5)
    return autograph_for_transforms(_view_batches, plan)(plan, num_views, num_crops)


def _view_batches(plan: ReadPlan, num_views: int | None, num_crops: int) -> tf.data.Dataset:
    clip_spec = plan.clip_spec
    landscape = crop_positions(num_crops, height=1, width=2)
    portrait = crop_positions(num_crops, height=2, width=1)

    def encoded_views(number: tf.Tensor, record: Record) -> tf.data.Dataset:
        frames = call_python(
            lambda count, times: _frames_of_views(int(count), times, clip_spec, num_views),
            [tf.size(record[fields.FRAMES]), record[fields.TIMES]],
            tf.int64,
        )
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

    # A view stays encoded until its turn: a long video is never whole in memory as pixels.
    views = parsed_records(plan).enumerate().flat_map(encoded_views)
    batches = map_in_parallel(views, decoded).batch(plan.batch_size)
    if num_views is None:
        return finish_dataset(batches, tf.data.UNKNOWN_CARDINALITY)
    num_clips = plan.records.num_videos * num_views * num_crops
    return finish_dataset(batches, -(-num_clips // plan.batch_size))


def _frames_of_views(
    num_video_frames: int, times: np.ndarray, clip_spec: ClipSpec, num_views: int | None
) -> np.ndarray:
    known = frames_for_clips(num_video_frames, times, clip_spec)
    return known[view_frames(len(known), clip_spec, num_views)]


def view_frames(num_video_frames: int, clip_spec: ClipSpec, num_views: int | None) -> np.ndarray:
    """Returns the frames of the evaluation clips of a video.

    Args:
        num_video_frames: at least 1. A video too short for a clip loops.
        clip_spec: length and stride of the clips.
        num_views: number of clips, spread over the whole video: one is the middle, two or more
            reach both ends. None takes consecutive clips that cover every frame: with a stride of
            n, n clips that start one frame apart cover a stretch of `num_frames * n` frames, and
            the last stretch ends with the video and overlaps the one before it.

    Returns:
        int64 array of shape (clips, num_frames).

    Raises:
        InvalidArgumentError: if `num_views` is less than 1.

    Example:

    ```python
    spec = ClipSpec(num_frames=4, frame_stride=2)
    view_frames(10, spec, 2)  # [[0, 2, 4, 6], [3, 5, 7, 9]]
    view_frames(5, ClipSpec(num_frames=2, frame_stride=1), None)  # [[0, 1], [2, 3], [3, 4]]
    ```
    """
    if num_views is not None:
        starts = view_starts(num_video_frames, clip_spec, num_views)
        return np.stack([clip_frames(num_video_frames, clip_spec, start) for start in starts])
    stride = clip_spec.frame_stride
    stretch = clip_spec.num_frames * stride
    begins = np.arange(0, num_video_frames, stretch)
    begins = np.minimum(begins, max(num_video_frames - stretch, 0))
    firsts = begins[:, None] + np.arange(min(stride, num_video_frames))
    offsets = stride * np.arange(clip_spec.num_frames)
    return (firsts.reshape(-1, 1) + offsets) % num_video_frames
