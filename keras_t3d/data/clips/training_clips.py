"""One training epoch with tf.data: records in the order of `order.py`, sampled, shuffled, decoded.

Clips are sampled while still encoded and shuffled after that, so the shuffle buffer
holds the frames of clips, not of videos.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.distortion import distort
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips import order
from keras_t3d.data.clips.clip_draws import ClipDraws, draw_clips
from keras_t3d.data.clips.reading import ReadShard, Record, record_key_tensorflow
from keras_t3d.data.clips.sampling import (
    fps_stride_tensorflow,
    random_clip_tensorflow,
    segment_clip_tensorflow,
)
from keras_t3d.data.clips.windows import place_window_tensorflow
from keras_t3d.data.shards import record as fields


@dataclasses.dataclass(frozen=True)
class Choices:
    """How training clips are chosen and cut; see `load_clips`."""

    spec: ClipSpec
    augmentation: Augmentation
    unmirrored: tuple[int, ...]  # ids of classes whose clips are never mirrored
    sampling: str
    short: str
    target_fps: float | None
    seed: int
    shuffle_buffer: int


class Sample(NamedTuple):
    """What was drawn for one training clip, and of which record; its frames are still encoded."""

    frames: tf.Tensor
    chosen: tf.Tensor  # the frames' places in the record
    window: tf.Tensor
    mirrored: tf.Tensor
    distortion: tf.Tensor
    label: tf.Tensor
    key: tf.Tensor


def epoch_samples(
    epoch: tf.Tensor,
    examples: tuple[int, ...],
    read_shard: ReadShard,
    parse: Callable[[tf.Tensor], Record],
    choices: Choices,
) -> tf.data.Dataset:
    """The samples of one epoch, in its order.

    Args:
        epoch: int64 scalar.
        examples: ints. Records in each shard.
        read_shard: a shard's number to its serialized records.
        parse: a serialized record to a record.
        choices: Choices.

    Returns:
        A `tf.data.Dataset` of Sample, `repeats` of each video next to each other.
    """
    size = choices.shuffle_buffer
    records = _records(epoch, examples, read_shard, choices.seed)
    windows = tf.data.Dataset.range(0, sum(examples), size)
    samples = tf.data.Dataset.zip(
        records, windows.flat_map(lambda start: _draws(epoch, start, sum(examples), choices))
    ).map(
        lambda serialized, draws: _samples(parse(serialized), draws, choices),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )

    # Not Dataset.shuffle: its order depends on TensorFlow's global seed, too.
    def shuffled(start: tf.Tensor, window: Sample) -> Sample:
        places = tf.numpy_function(
            lambda epoch, start, count: order.shuffled_window(
                choices.seed, int(epoch), int(start), int(count)
            ),
            [epoch, start, tf.shape(window.label)[0]],
            tf.int64,
        )
        places = tf.ensure_shape(places, (None,))
        return Sample(*(tf.gather(part, places) for part in window))

    return tf.data.Dataset.zip(windows, samples.batch(size)).map(shuffled).unbatch().unbatch()


def _records(
    epoch: tf.Tensor, examples: tuple[int, ...], read_shard: ReadShard, seed: int
) -> tf.data.Dataset:
    """The serialized records of an epoch as `order.reading_order` has them."""
    shards = tf.numpy_function(
        lambda epoch: order.shard_order(len(examples), seed, int(epoch)), [epoch], tf.int64
    )
    shards = tf.ensure_shape(shards, (len(examples),))
    # Group by group: one interleave over all would open the next shard at a place that
    # TensorFlow does not promise.
    return (
        tf.data.Dataset.from_tensor_slices(shards)
        .batch(order.OPEN_SHARDS)
        .flat_map(
            lambda group: tf.data.Dataset.from_tensor_slices(group).interleave(
                read_shard,
                cycle_length=order.OPEN_SHARDS,
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
        )
    )


def _draws(epoch: tf.Tensor, start: tf.Tensor, count: int, choices: Choices) -> tf.data.Dataset:
    """The draws of one window's records, each `repeats` clips, in the order of reading."""
    repeats, frames = choices.augmentation.repeats, choices.spec.num_frames

    def drawn(epoch: np.int64, start: np.int64) -> list[np.ndarray]:
        size = min(choices.shuffle_buffer, count - int(start))
        clips = np.arange(start * repeats, (start + size) * repeats)
        draws = draw_clips(choices.seed, int(epoch), clips, frames, choices.augmentation)
        # Drawn by the place where a record ends up; here it stands where it is read.
        order_in_window = order.shuffled_window(choices.seed, int(epoch), int(start), size)
        read = np.argsort(order_in_window)
        return [part.reshape(size, repeats, *part.shape[1:])[read] for part in draws]

    kinds = [tf.float64, tf.float64, tf.float64, tf.bool, tf.int64]
    shapes = [(), (frames,), (4,), (), (2,)]
    parts = tf.numpy_function(drawn, [epoch, start], kinds)
    return tf.data.Dataset.from_tensor_slices(
        ClipDraws(
            *(
                tf.ensure_shape(part, (None, repeats, *shape))
                for part, shape in zip(parts, shapes, strict=True)
            )
        )
    )


def _samples(record: Record, draws: ClipDraws, choices: Choices) -> Sample:
    """The samples of one record, one for each repeat, stacked."""
    samples = [
        _sample(record, ClipDraws(*(part[repeat] for part in draws)), choices)
        for repeat in range(choices.augmentation.repeats)
    ]
    return Sample(*(tf.stack(parts) for parts in zip(*samples, strict=True)))


def _sample(record: Record, draws: ClipDraws, choices: Choices) -> Sample:
    spec = choices.spec
    encoded, label = record[fields.FRAMES], record[fields.LABEL_INDEX]
    if choices.sampling == "segments":
        chosen = segment_clip_tensorflow(
            tf.size(encoded), spec.num_frames, draws.segments, short=choices.short
        )
    else:
        stride = fps_stride_tensorflow(record[fields.FPS], choices.target_fps, spec.frame_stride)
        chosen = random_clip_tensorflow(
            tf.size(encoded), spec, draws.start, stride=stride, short=choices.short
        )
    window = place_window_tensorflow(
        record[fields.HEIGHT], record[fields.WIDTH], spec, choices.augmentation, draws.window
    )
    may_mirror = tf.reduce_all(label != tf.constant(choices.unmirrored, tf.int64))
    mirrored = tf.logical_and(draws.mirrored, may_mirror)
    return Sample(
        frames=tf.gather(encoded, chosen),
        chosen=chosen,
        window=window,
        mirrored=mirrored,
        distortion=draws.distortion,
        label=label,
        key=record_key_tensorflow(record),
    )


def decode(sample: Sample, choices: Choices) -> tf.Tensor:
    """The clip of a sample: uint8 of shape `spec.input_shape`."""
    spec = choices.spec
    frames = tf.stack(
        [
            tf.io.decode_and_crop_jpeg(sample.frames[index], sample.window, channels=3)
            for index in range(spec.num_frames)
        ]
    )

    def resized() -> tf.Tensor:
        return tf.cast(tf.image.resize(frames, spec.crop_size) + 0.5, tf.uint8)

    fits = tf.reduce_all(sample.window[2:] == tf.constant(spec.crop_size))
    clip = tf.cond(fits, lambda: frames, resized)
    clip = tf.cond(sample.mirrored, lambda: tf.reverse(clip, [2]), lambda: clip)
    return distort(tf.ensure_shape(clip, spec.input_shape), choices.augmentation, sample.distortion)
