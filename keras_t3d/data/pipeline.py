"""Shards to batches of clips, with tf.data.

Reading, then sampling on the encoded frames, then decoding only those, then
cutting out the view: each step is one function on tensors.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_t3d.clips import (
    CENTRE,
    ClipSpec,
    clip_frames_tensorflow,
    crop_positions,
    resize_and_crop_tensorflow,
)
from keras_t3d.data.augmentation import Augmentation, random_mirror, random_window
from keras_t3d.data.sampling import random_clip_frames
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import label_mismatch
from keras_t3d.data.shards.record import parse_record
from keras_t3d.data.shards.shard_set import ShardSet

_OPEN_SHARDS = 16


def load_clips(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    training: bool = False,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    shuffle_buffer: int = 256,
    repeat: bool = False,
    first_step: int = 0,
    pad_last_batch: bool = False,
) -> tf.data.Dataset:
    """Loads clips and labels for `model.fit`, `model.evaluate` and friends.

    With `training=True`: one random clip, window and flip of each video. Each
    pass over the dataset is the next epoch; the k-th pass is the same in every
    run with the same seed. Batches are full: what is left over at the end of an
    epoch waits for the next one's order. With `repeat=True` one pass holds all
    epochs, without end: pass `steps_per_epoch` to `fit`, see `steps_per_epoch`.

    With `training=False`: the centre view of each video, in the order of the
    shards, always the same bytes.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` is at most the shards' short side.
        batch_size: int. Clips in a batch, over all devices.
        training: bool. See above. Defaults to `False`.
        seed: int. Seed of order, clips, windows and flips. Defaults to `0`.
        augmentation: Augmentation, for training. Defaults to `Augmentation()`.
        shuffle_buffer: int. Clips, still as JPEG, that are shuffled among each other,
            on top of the shuffled shards. Defaults to `256`.
        repeat: bool. Whether a training pass goes on with the next epochs.
            Defaults to `False`.
        first_step: int. Training batches to skip, counted from the first epoch:
            how a training run goes on. Skipped records are not decoded.
            Defaults to `0`.
        pad_last_batch: bool. Without training: repeats clips to fill the last
            batch, and gives (clips, labels, weights) with weight 0 for the
            repeated ones, which keeps every device busy. Defaults to `False`.

    Returns:
        A `tf.data.Dataset` of (clips, labels): uint8 of shape
        `(batch, *spec.input_shape)` with values 0..255, and int64 class ids.

    Raises:
        ValueError: if the folder holds no finished shards, no such split, frames
            smaller than the spec resizes to, or too few videos for one batch.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    train = keras_t3d.data.load_clips(
        "shards/ucf101", split="train", spec=spec, batch_size=32, training=True, seed=0
    )
    model.fit(train, epochs=10)
    ```
    """
    shards = _opened(shards, split, spec)
    _check_whole("batch_size", batch_size, 1)
    _check_whole("shuffle_buffer", shuffle_buffer, 1)
    _check_whole("seed", seed, 0)
    _check_whole("first_step", first_step, 0)
    if training:
        augmentation = augmentation or Augmentation()
        steps = steps_per_epoch(shards, split, batch_size)
        epochs = _epochs(first_step // steps, repeat)
        # Only the first epoch of a pass starts in its middle.
        skipped = tf.constant(first_step % steps * batch_size, tf.int64)
        check = _label_check(shards)
        sampled = epochs.flat_map(
            lambda epoch: (
                _sampled_epoch(
                    shards.paths(split),
                    _fold_in(tf.constant([seed, 0], tf.int64), epoch),
                    lambda record, record_seed: _sample(
                        check(parse_record(record)), spec, augmentation, record_seed
                    ),
                    shuffle_buffer,
                )
                .take(steps * batch_size)
                .skip(tf.where(epoch == first_step // steps, skipped, tf.zeros_like(skipped)))
            )
        )
        clips = sampled.map(
            lambda sample: (_decode(sample, spec), sample.label),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        batches = clips.batch(batch_size, drop_remainder=True)
        return _finish(batches, tf.data.INFINITE_CARDINALITY if repeat else steps)
    records = _records(shards, split).map(
        lambda record: (_view(record, spec, None, CENTRE), record[fields.LABEL_INDEX]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if pad_last_batch:
        records = _padded(records, shards.num_videos(split), batch_size)
    return _finish(records.batch(batch_size), -(-shards.num_videos(split) // batch_size))


def steps_per_epoch(shards: str | os.PathLike[str] | ShardSet, split: str, batch_size: int) -> int:
    """Returns the number of full training batches in one epoch of a split.

    Raises:
        ValueError: if the split is too small for one batch.
    """
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    steps = shards.num_videos(split) // batch_size
    if steps == 0:
        raise ValueError(
            f"The split {split!r} of {shards.folder} has {shards.num_videos(split)} videos, too "
            f"few for one training batch. Received: batch_size={batch_size}"
        )
    return steps


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
    shards = _opened(shards, split, spec)
    _check_whole("batch_size", batch_size, 1)
    _check_whole("num_views", num_views, 1)
    landscape = crop_positions(num_crops, height=1, width=2)
    portrait = crop_positions(num_crops, height=2, width=1)

    def views(record: _Record) -> tf.data.Dataset:
        num_frames = tf.size(record[fields.FRAMES], tf.int64)
        starts = _view_starts(num_frames, spec, num_views)
        is_landscape = record[fields.WIDTH] >= record[fields.HEIGHT]
        positions = tf.where(is_landscape, tf.constant(landscape), tf.constant(portrait))
        grid = tf.range(num_views * num_crops)
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(starts, grid // num_crops), tf.gather(positions, grid % num_crops))
        ).map(
            lambda start, position: (
                _view(record, spec, start, position),
                record[fields.LABEL_INDEX],
                record[fields.VIDEO_ID],
            )
        )

    clips = _records(shards, split).interleave(
        views, cycle_length=1, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    num_clips = shards.num_videos(split) * num_views * num_crops
    return _finish(clips.batch(batch_size), -(-num_clips // batch_size))


# Reading.


def _check_whole(name: str, value: int, lowest: int) -> None:
    if not isinstance(value, int) or value < lowest:
        raise ValueError(
            f"`{name}` must be a whole number of at least {lowest}. Received: {value!r}"
        )


def _opened(shards: str | os.PathLike[str] | ShardSet, split: str, spec: ClipSpec) -> ShardSet:
    shards = shards if isinstance(shards, ShardSet) else ShardSet.open(shards)
    shards.check_split(split)
    if shards.short_side < spec.resize:
        raise ValueError(
            f"The shards {shards.folder} were converted with --short-side {shards.short_side}, "
            f"fewer pixels than the ClipSpec resizes to. Convert the videos with --short-side "
            f"{spec.resize}, or use a spec with resize of at most {shards.short_side}. "
            f"Received: resize={spec.resize}"
        )
    return shards


def _records(shards: ShardSet, split: str) -> tf.data.Dataset:
    """The parsed records of a split, in the order of the shards."""
    check = _label_check(shards)
    return tf.data.TFRecordDataset(shards.paths(split)).map(
        lambda serialized: check(parse_record(serialized)), num_parallel_calls=tf.data.AUTOTUNE
    )


_Record = dict[str, tf.Tensor]


def _label_check(shards: ShardSet) -> Callable[[_Record], _Record]:
    """Refuses records whose label is not the one that labels.txt has at its id."""
    names = tf.constant(list(shards.class_names))
    message = label_mismatch(shards)

    def check(record: _Record) -> _Record:
        index = record[fields.LABEL_INDEX]
        known = tf.logical_and(index >= 0, index < len(shards.class_names))
        name = names[tf.where(known, index, 0)]
        fits = tf.logical_and(known, tf.equal(name, record[fields.LABEL_TEXT]))
        with tf.control_dependencies([tf.debugging.Assert(fits, [message])]):
            return {key: tf.identity(value) for key, value in record.items()}

    return check


def _finish(batches: tf.data.Dataset, num_batches: int) -> tf.data.Dataset:
    batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    options = tf.data.Options()
    # One process reads for all its devices: fit splits each batch among them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


# Training.


def _epochs(first: int, repeat: bool) -> tf.data.Dataset:
    """The epochs of one pass: all from `first` on, or one, the next at each pass."""
    if repeat:
        return tf.data.Dataset.counter(first)
    passes = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: iter([next(passes)]), output_signature=tf.TensorSpec((), tf.int64)
    )


class _Sample(NamedTuple):
    """What was drawn for one training clip; its frames are still encoded."""

    frames: tf.Tensor
    window: tf.Tensor
    mirrored: tf.Tensor
    label: tf.Tensor


def _sampled_epoch(
    paths: list[str],
    seed: tf.Tensor,
    sample: Callable[[tf.Tensor, tf.Tensor], _Sample],
    shuffle_buffer: int,
) -> tf.data.Dataset:
    """The samples of one epoch, in its order.

    Sampled before they are shuffled: the buffer holds the frames of clips, not of videos.
    """
    shuffled_paths = tf.random.experimental.stateless_shuffle(tf.constant(paths), seed)
    records = tf.data.Dataset.from_tensor_slices(shuffled_paths).interleave(
        tf.data.TFRecordDataset,
        cycle_length=_OPEN_SHARDS,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    samples = records.enumerate().map(
        lambda position, record: sample(record, _fold_in(seed, position)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )

    # Not Dataset.shuffle: its order depends on TensorFlow's global seed, too.
    def shuffled(index: tf.Tensor, window: _Sample) -> _Sample:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(tf.size(window.label)), _fold_in(seed, -1 - index)
        )
        return _Sample(*(tf.gather(part, order) for part in window))

    return samples.batch(shuffle_buffer).enumerate().map(shuffled).unbatch()


def _fold_in(seed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """A seed that differs for every (seed, number)."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def _sample(
    record: _Record, spec: ClipSpec, augmentation: Augmentation, seed: tf.Tensor
) -> _Sample:
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    encoded = record[fields.FRAMES]
    chosen = tf.gather(encoded, random_clip_frames(tf.size(encoded), spec, seeds[0]))
    window = random_window(
        record[fields.HEIGHT], record[fields.WIDTH], spec, augmentation, seeds[1]
    )
    mirrored = random_mirror(seeds[2]) if augmentation.flip else tf.constant(False)
    return _Sample(chosen, window, mirrored, record[fields.LABEL_INDEX])


def _decode(sample: _Sample, spec: ClipSpec) -> tf.Tensor:
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
    return tf.ensure_shape(clip, spec.input_shape)


# Evaluation.


def _view(
    record: _Record,
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


def _view_starts(num_frames: tf.Tensor, spec: ClipSpec, num_views: int) -> tf.Tensor:
    """The TensorFlow form of `keras_t3d.clips.view_starts`."""
    last = tf.maximum(num_frames - spec.span, 0)
    if num_views == 1:
        return last[None] // 2
    gaps = num_views - 1
    return (2 * tf.range(num_views, dtype=tf.int64) * last + gaps) // (2 * gaps)


def _padded(clips: tf.data.Dataset, count: int, batch_size: int) -> tf.data.Dataset:
    weighted = clips.map(lambda clip, label: (clip, label, tf.constant(1.0)))
    missing = -count % batch_size
    spare = clips.repeat().take(missing).map(lambda clip, label: (clip, label, tf.constant(0.0)))
    return weighted.concatenate(spare)
