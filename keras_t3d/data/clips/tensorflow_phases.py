"""The phases of the tf.data form as pure functions on tensors: parse, sample, decode."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_t3d.clips import (
    ClipSpec,
    resize_and_crop_tensorflow,
)
from keras_t3d.data.augmentation.distortion import distort
from keras_t3d.data.clips.clip import Clip
from keras_t3d.data.clips.clip_draws import ClipDraws
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python
from keras_t3d.data.clips.record_keys import record_key
from keras_t3d.data.clips.sampling import sample_frames_tensorflow
from keras_t3d.data.clips.tensorflow_records import map_in_parallel, shard_reader
from keras_t3d.data.clips.windows import place_window_tensorflow
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.labels import is_label_tensorflow, label_mismatch
from keras_t3d.data.shards.record_tensors import parse_record

Record = dict[str, tf.Tensor]


class Sample(NamedTuple):
    """A training clip before decoding: its encoded frames and everything drawn for it."""

    encoded: tf.Tensor
    frames: tf.Tensor  # indices in the record
    window: tf.Tensor
    mirrored: tf.Tensor
    seed: tf.Tensor
    label: tf.Tensor
    key: tf.Tensor
    fps: tf.Tensor


def record_parser(plan: ReadPlan) -> Callable[[tf.Tensor], Record]:
    """Returns the function that parses a serialized record; with labels, it checks them."""
    shards = plan.shards
    if not plan.labelled:
        return parse_record
    message = label_mismatch(shards)

    def parse(serialized: tf.Tensor) -> Record:
        record = parse_record(serialized)
        right = is_label_tensorflow(shards, record[fields.LABEL_INDEX], record[fields.LABEL_TEXT])
        with tf.control_dependencies([tf.debugging.Assert(right, [message])]):
            return {key: tf.identity(value) for key, value in record.items()}

    return parse


def parsed_records(plan: ReadPlan) -> tf.data.Dataset:
    """Returns the parsed records of the split, in the order of the shards."""
    shards = tf.data.Dataset.range(len(plan.records.paths))
    records = shards.flat_map(shard_reader(plan.records, plan.options.cache))
    return map_in_parallel(records, record_parser(plan))


def sample(record: Record, draws: ClipDraws, plan: ReadPlan) -> Sample:
    """Chooses the frames, window and flip of a training clip."""
    encoded = record[fields.FRAMES]
    frames = sample_frames_tensorflow(
        tf.size(encoded), record[fields.TIMES], draws, plan.clip_spec, plan.options
    )
    described = Described(
        record[fields.LABEL_INDEX],
        _key(record),
        record[fields.HEIGHT],
        record[fields.WIDTH],
        record[fields.FPS],
    )
    return placed_sample(tf.gather(encoded, frames), frames, described, draws, plan)


class Described(NamedTuple):
    """What a record says of its video: scalars."""

    label: tf.Tensor
    key: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    fps: tf.Tensor


def placed_sample(
    encoded: tf.Tensor, frames: tf.Tensor, video: Described, draws: ClipDraws, plan: ReadPlan
) -> Sample:
    """Chooses the window and flip of a training clip, whose frames are chosen."""
    window = place_window_tensorflow(
        video.height, video.width, plan.clip_spec, plan.augmentation, draws.window
    )
    may_mirror = tf.reduce_all(video.label != tf.constant(plan.unmirrored, tf.int64))
    return Sample(
        encoded=encoded,
        frames=frames,
        window=window,
        mirrored=tf.logical_and(draws.mirrored, may_mirror),
        seed=draws.distortion,
        label=video.label,
        key=video.key,
        fps=video.fps,
    )


def decode(sample: Sample, plan: ReadPlan) -> Clip:
    """Decodes the window of a sample's frames, resizes, mirrors and distorts it."""
    clip_spec = plan.clip_spec
    frames = tf.stack(
        [
            tf.io.decode_and_crop_jpeg(sample.encoded[index], sample.window, channels=3)
            for index in range(clip_spec.num_frames)
        ]
    )

    def resized() -> tf.Tensor:
        return tf.cast(tf.image.resize(frames, clip_spec.crop_size) + 0.5, tf.uint8)

    fits = tf.reduce_all(sample.window[2:] == tf.constant(clip_spec.crop_size))
    pixels = tf.cond(fits, lambda: frames, resized)
    pixels = tf.cond(sample.mirrored, lambda: tf.reverse(pixels, [2]), lambda: pixels)
    pixels = tf.ensure_shape(pixels, clip_spec.input_shape)
    return Clip(
        pixels=distort(pixels, plan.augmentation, sample.seed),
        label=sample.label,
        key=sample.key,
        frames=sample.frames,
        fps=sample.fps,
        weight=tf.constant(1.0),
        seed=sample.seed,
        features={},
    )


def decode_view(
    record: Record,
    frames: tf.Tensor,
    position: tf.Tensor | tuple[int, int],
    weight: tf.Tensor | float,
    clip_spec: ClipSpec,
) -> Clip:
    """Decodes the view of these frames, cropped at a position."""
    encoded = tf.gather(record[fields.FRAMES], frames)
    decoded = tf.stack(
        [tf.io.decode_jpeg(encoded[index], channels=3) for index in range(clip_spec.num_frames)]
    )
    return Clip(
        pixels=resize_and_crop_tensorflow(decoded, clip_spec, position),
        label=record[fields.LABEL_INDEX],
        key=_key(record),
        frames=frames,
        fps=record[fields.FPS],
        weight=tf.convert_to_tensor(weight, tf.float32),
        seed=tf.zeros(2, tf.int64),
        features={},
    )


def _key(record: Record) -> tf.Tensor:
    """The TensorFlow form of `record_key`: a string scalar."""
    video_id = record[fields.VIDEO_ID]

    def of_first_frame() -> tf.Tensor:
        key = call_python(
            lambda frame: record_key("", frame).encode(), [record[fields.FRAMES][0]], tf.string
        )
        return tf.ensure_shape(key, ())

    return tf.cond(tf.equal(video_id, ""), of_first_frame, lambda: video_id)
