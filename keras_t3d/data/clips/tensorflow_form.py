"""The tf.data form of ClipReader: order, workers, batches and resuming around the phases."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.clips import CENTRE, clip_frames_tensorflow
from keras_t3d.clips.tensorflow_frame_rate import frames_for_clips_tensorflow
from keras_t3d.data.augmentation.mixing import mix
from keras_t3d.data.clips import order
from keras_t3d.data.clips.clip import (
    CLIPS,
    VIDEOS,
    Clip,
    apply_transforms,
    model_inputs,
    video_numbers,
)
from keras_t3d.data.clips.clip_draws import ClipDraws, draw_clips
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.tensorflow_partial import (
    ReadSamples,
    epoch_places,
    has_long_records,
    samples_reader,
)
from keras_t3d.data.clips.tensorflow_phases import (
    Record,
    Sample,
    decode,
    decode_view,
    parsed_records,
    record_parser,
    sample,
    stacked,
)
from keras_t3d.data.clips.tensorflow_records import (
    ReadShard,
    autograph_for_transforms,
    finish_dataset,
    map_in_parallel,
    shard_reader,
)
from keras_t3d.data.shards.record import FRAMES, TIMES
from keras_t3d.errors import InvalidArgumentError

_MIXING = 1000  # sets the seed of mixing apart from those of distortions


def clip_batches(plan: ReadPlan) -> tf.data.Dataset:
    """Returns batches of training clips, or of centre views."""
    batches = _training_batches if plan.training else _evaluation_batches
    return autograph_for_transforms(batches, plan)(plan)


# Training.


def _training_batches(plan: ReadPlan) -> tf.data.Dataset:
    options, steps = plan.options, plan.steps_per_epoch
    read_shard = shard_reader(plan.records, options.cache)
    first_epoch = options.first_step // steps
    # Only the first epoch of a pass starts in its middle.
    skipped = tf.constant(options.first_step % steps * plan.batch_size, tf.int64)

    def samples(epoch: tf.Tensor) -> tf.data.Dataset:
        return (
            _epoch_samples(epoch, read_shard, plan)
            .take(steps * plan.batch_size)
            .skip(tf.where(epoch == first_epoch, skipped, tf.zeros_like(skipped)))
        )

    clips = map_in_parallel(
        _own_clips(_epochs(first_epoch, options.repeat).flat_map(samples), plan),
        lambda drawn: apply_transforms(decode(drawn, plan), plan.transforms),
    )
    batches = _batch(clips, plan, drop_remainder=True)
    if options.repeat:
        return finish_dataset(batches, tf.data.INFINITE_CARDINALITY)
    # The first pass is shorter than the others where it starts in its middle.
    middle = options.first_step % steps
    return finish_dataset(batches, tf.data.UNKNOWN_CARDINALITY if middle else steps)


def _epochs(first: int, repeat: bool) -> tf.data.Dataset:
    """The epochs of one pass: all from `first` on, or one, the next at each pass."""
    if repeat:
        return tf.data.Dataset.counter(first)
    passes = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: iter([next(passes)]), output_signature=tf.TensorSpec((), tf.int64)
    )


def _epoch_samples(epoch: tf.Tensor, read_shard: ReadShard, plan: ReadPlan) -> tf.data.Dataset:
    """The samples of one epoch, in its order, `repeats` of each video next to each other.

    Clips are shuffled after sampling, still encoded: the shuffle buffer holds the frames of
    clips, not of videos.
    """
    size, count = plan.options.shuffle_buffer, plan.records.num_videos
    windows = tf.data.Dataset.range(0, count, size)
    draws = windows.flat_map(lambda start: _window_draws(epoch, start, plan))
    if has_long_records(plan):
        sources, read = epoch_places(epoch, plan), samples_reader(plan)
    else:
        sources, read = _epoch_records(epoch, read_shard, plan), _whole_records_reader(plan)
    samples = map_in_parallel(tf.data.Dataset.zip(sources, draws), read)

    # Not Dataset.shuffle: its order depends on TensorFlow's global seed, too.
    def shuffle(start: tf.Tensor, window: Sample) -> Sample:
        places = tf.numpy_function(
            lambda epoch, start, count: order.shuffled_window(
                plan.seed, int(epoch), int(start), int(count)
            ),
            [epoch, start, tf.shape(window.label)[0]],
            tf.int64,
        )
        places = tf.ensure_shape(places, (None,))
        return Sample(*(tf.gather(part, places) for part in window))

    return tf.data.Dataset.zip(windows, samples.batch(size)).map(shuffle).unbatch().unbatch()


def _epoch_records(epoch: tf.Tensor, read_shard: ReadShard, plan: ReadPlan) -> tf.data.Dataset:
    """The serialized records of an epoch, in the order of `order.reading_order`."""
    num_shards = len(plan.records.examples)
    shards = tf.numpy_function(
        lambda epoch: order.shard_order(num_shards, plan.seed, int(epoch)), [epoch], tf.int64
    )
    shards = tf.ensure_shape(shards, (num_shards,))
    # Group by group: one interleave over all would open the next shard at a position that
    # TensorFlow does not guarantee.
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


def _window_draws(epoch: tf.Tensor, start: tf.Tensor, plan: ReadPlan) -> tf.data.Dataset:
    """The draws for one shuffle window, `repeats` per record, in reading order."""
    repeats, frames = plan.augmentation.repeats, plan.clip_spec.num_frames
    seed, buffer, count = plan.seed, plan.options.shuffle_buffer, plan.records.num_videos

    def drawn(epoch: np.int64, start: np.int64) -> list[np.ndarray]:
        size = min(buffer, count - int(start))
        clips = np.arange(start * repeats, (start + size) * repeats)
        draws = draw_clips(seed, int(epoch), clips, frames, plan.augmentation)
        # Drawn by the position where a record ends up; here they are in reading order.
        order_in_window = order.shuffled_window(seed, int(epoch), int(start), size)
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


def _whole_records_reader(plan: ReadPlan) -> ReadSamples:
    """Returns the function from a serialized record and draws to its samples, stacked."""
    parse = record_parser(plan)

    def samples(serialized: tf.Tensor, draws: ClipDraws) -> Sample:
        record = parse(serialized)
        return stacked(lambda drawn: sample(record, drawn, plan), draws, plan)

    return samples


# Evaluation.


def _evaluation_batches(plan: ReadPlan) -> tf.data.Dataset:
    weighted = parsed_records(plan).map(lambda video: (video, 1.0))
    if plan.pads:
        missing = plan.steps_per_epoch * plan.batch_size - plan.records.num_videos
        spare = weighted.repeat().take(missing).map(lambda video, _: (video, 0.0))
        weighted = weighted.concatenate(spare)

    def decoded(video: Record, weight: tf.Tensor) -> Clip:
        count, clip_spec = tf.size(video[FRAMES]), plan.clip_spec
        known = frames_for_clips_tensorflow(count, video[TIMES], clip_spec)
        frames = tf.gather(known, clip_frames_tensorflow(tf.size(known), clip_spec))
        clip = decode_view(video, frames, CENTRE, weight, plan.clip_spec)
        return apply_transforms(clip, plan.transforms)

    clips = map_in_parallel(_own_clips(weighted, plan), decoded)
    return finish_dataset(_batch(clips, plan, drop_remainder=plan.pads), plan.steps_per_epoch)


# Batches.


def _own_clips(clips: tf.data.Dataset, plan: ReadPlan) -> tf.data.Dataset:
    """Keeps this worker's clips of every batch; nothing is decoded yet."""
    own = plan.worker_slice
    if own.stop - own.start == plan.batch_size:
        return clips

    def belongs(position: tf.Tensor, _: object) -> tf.Tensor:
        place = position % plan.batch_size
        return tf.logical_and(place >= own.start, place < own.stop)

    return clips.enumerate().filter(belongs).map(lambda _, clip: clip)


def _batch(clips: tf.data.Dataset, plan: ReadPlan, drop_remainder: bool) -> tf.data.Dataset:
    own = plan.worker_slice
    # AutoGraph would replace the types of errors, and there is nothing for it to convert.
    element = tf.autograph.experimental.do_not_convert(lambda clips: _element(clips, plan))
    batches = clips.batch(own.stop - own.start, drop_remainder=drop_remainder)
    return map_in_parallel(batches, element)


def _element(clips: Clip, plan: ReadPlan) -> Any:
    """What the dataset gives for a batch of clips."""
    if not plan.labelled:
        numbers = tf.numpy_function(
            lambda keys, weights: video_numbers(
                [key.decode("utf-8", "surrogateescape") for key in keys.tolist()], weights
            ),
            [clips.key, clips.weight],
            tf.int32,
        )
        numbers = tf.ensure_shape(numbers, (clips.pixels.shape[0],))
        return {CLIPS: clips.pixels, VIDEOS: numbers, **clips.features}
    if plan.training and plan.augmentation.mixes:
        return _mixed(clips, plan)
    return model_inputs(clips), plan.labels_of(clips)


def _mixed(clips: Clip, plan: ReadPlan) -> tuple[tf.Tensor, tf.Tensor]:
    if clips.features:
        raise InvalidArgumentError(
            "Augmentation: `mixup` and `cutmix` must be 0 with `transforms` that add features, "
            f"which cannot be mixed. Received: features {sorted(clips.features)}",
            argument="transforms",
        )
    seed = tf.random.experimental.stateless_fold_in(clips.seed[0], _MIXING)
    num_classes = len(plan.shards.class_names)
    return mix(clips.pixels, clips.label, num_classes, plan.augmentation, seed)
