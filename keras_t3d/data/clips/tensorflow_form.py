"""The tf.data form of ClipReader: order, workers, batches and resuming around the phases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

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
from keras_t3d.data.clips.clip_draws import ClipDraws
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python
from keras_t3d.data.clips.tensorflow_draws import draw_clips_tensorflow
from keras_t3d.data.clips.tensorflow_partial import epoch_draws, has_long_records, sample_reader
from keras_t3d.data.clips.tensorflow_phases import (
    Record,
    Sample,
    decode,
    decode_view,
    parsed_records,
    record_parser,
    sample,
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
    first_epoch = options.first_step // steps
    # Only the first epoch of a pass starts in its middle.
    skipped = tf.constant(options.first_step % steps * plan.batch_size, tf.int64)

    def own_part_of_epochs(of_epoch: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        def used(epoch: tf.Tensor) -> tf.data.Dataset:
            clips = of_epoch(epoch).take(steps * plan.batch_size)
            return clips.skip(tf.where(epoch == first_epoch, skipped, tf.zeros_like(skipped)))

        return _own_clips(_epochs(first_epoch, options.repeat).flat_map(used), plan)

    if has_long_records(plan):
        draws = own_part_of_epochs(lambda epoch: epoch_draws(epoch, plan))
        samples = map_in_parallel(draws, sample_reader(plan))
    else:
        read_shard = shard_reader(plan.records, options.cache)
        samples = own_part_of_epochs(lambda epoch: _epoch_samples(epoch, read_shard, plan))
    clips = map_in_parallel(
        samples, lambda drawn: apply_transforms(decode(drawn, plan), plan.transforms)
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
    records = tf.data.Dataset.zip(_epoch_records(epoch, read_shard, plan), draws)
    samples = map_in_parallel(records, _samples_reader(plan))

    # Not Dataset.shuffle: its order depends on TensorFlow's global seed, too.
    def shuffle(start: tf.Tensor, window: Sample) -> Sample:
        places = _order_of_window(epoch, start, tf.shape(window.label)[0], plan)
        return Sample(*(tf.gather(part, places) for part in window))

    return tf.data.Dataset.zip(windows, samples.batch(size)).map(shuffle).unbatch().unbatch()


def _epoch_records(epoch: tf.Tensor, read_shard: ReadShard, plan: ReadPlan) -> tf.data.Dataset:
    """The serialized records of an epoch, in the order of `order.reading_order`."""
    num_shards = len(plan.records.examples)
    shards = call_python(
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
    repeats, records = plan.augmentation.repeats, plan.records.num_videos
    size = tf.minimum(tf.constant(plan.options.shuffle_buffer, tf.int64), records - start)
    clips = tf.range(start * repeats, (start + size) * repeats)
    # Drawn by the position where a record ends up; here they are in reading order.
    read = tf.argsort(_order_of_window(epoch, start, size, plan))

    def by_record(part: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([[-1, repeats], tf.shape(part)[1:]], 0)
        return tf.gather(tf.reshape(part, shape), read)

    draws = draw_clips_tensorflow(epoch, clips, plan)
    return tf.data.Dataset.from_tensor_slices(ClipDraws(*map(by_record, draws)))


def _order_of_window(
    epoch: tf.Tensor, start: tf.Tensor, size: tf.Tensor, plan: ReadPlan
) -> tf.Tensor:
    places = call_python(
        lambda epoch, start, size: order.shuffled_window(
            plan.seed, int(epoch), int(start), int(size)
        ),
        [epoch, start, size],
        tf.int64,
    )
    return tf.ensure_shape(places, (None,))


def _samples_reader(plan: ReadPlan) -> Callable[[tf.Tensor, ClipDraws], Sample]:
    """Returns the function from a serialized record and draws to its samples, stacked."""
    parse = record_parser(plan)

    def samples(serialized: tf.Tensor, draws: ClipDraws) -> Sample:
        record = parse(serialized)
        # Each repeat has its own draws.
        repeats = [
            sample(record, ClipDraws(*(part[repeat] for part in draws)), plan)
            for repeat in range(plan.augmentation.repeats)
        ]
        return Sample(*(tf.stack(parts) for parts in zip(*repeats, strict=True)))

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
        numbers = call_python(
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
