"""Shards to batches of clips with tf.data: what labelled and unlabelled clips share.

Reading, then sampling on the encoded frames, then decoding only those, then
cutting out the view: each step is one function on tensors.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.arguments import check_repeats, check_whole, worker_slice
from keras_t3d.data.clips.reading import (
    Record,
    finished,
    record_key_tensorflow,
    records_in_order,
    shard_reader,
)
from keras_t3d.data.clips.sampling import check_sampling
from keras_t3d.data.clips.steps import training_steps
from keras_t3d.data.clips.training_clips import Choices, Sample, decode, epoch_samples
from keras_t3d.data.clips.views import centre_view
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.shard_set import ShardSet


class Clips(NamedTuple):
    """A batch of decoded clips, or one of them without the first axis.

    Attributes:
        pixels: uint8 (batch, *spec.input_shape).
        labels: int64 (batch,). Class ids as the records have them, -1 for none.
        keys: strings (batch,). See `record_key`.
        frames: int64 (batch, num_frames). Places of the clips' frames in their records.
        weights: float32 (batch,). 0 for those that only fill the last batch.
        distortion: int64 (batch, 2). Training: the seeds of colours and shapes.
    """

    pixels: tf.Tensor
    labels: tf.Tensor
    keys: tf.Tensor
    frames: tf.Tensor
    weights: tf.Tensor
    distortion: tf.Tensor


def clip_batches(
    shards: ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    training: bool,
    seed: int,
    augmentation: Augmentation,
    sampling: str,
    short: str,
    target_fps: float | None,
    shuffle_buffer: int,
    repeat: bool,
    first_step: int,
    pad_last_batch: bool,
    worker: tuple[int, int],
    cache: bool | str | os.PathLike[str],
    on_damage: str,
    parse: Callable[[tf.Tensor], Record],
    unmirrored: Sequence[int],
    element: Callable[[Clips], Any],
) -> tf.data.Dataset:
    """Loads batches of clips, for training or for evaluation.

    Args:
        See `load_clips`, but for the last three.
        parse: a serialized record to a record; it may refuse one.
        unmirrored: ints. Ids of classes whose clips are never mirrored.
        element: a batch of Clips to what the dataset gives.

    Returns:
        A `tf.data.Dataset`.

    Raises:
        ValueError: as `load_clips`.
    """
    check_whole("batch_size", batch_size, 1)
    check_whole("shuffle_buffer", shuffle_buffer, 1)
    check_whole("seed", seed, 0)
    check_whole("first_step", first_step, 0)
    check_sampling(sampling, short, target_fps)
    part = worker_slice(worker, batch_size)
    records = split_records(shards, split, on_damage, stacklevel=4)
    if not training:
        if worker[1] > 1 and not pad_last_batch:
            raise ValueError(
                "Without training, workers need pad_last_batch=True: the last batch may hold "
                f"nothing for some of them. Received: worker={worker!r}, pad_last_batch=False"
            )
        videos = records_in_order(records, parse, cache)
        num_videos = records.num_videos
        return _centre_views(videos, num_videos, spec, batch_size, pad_last_batch, part, element)
    check_repeats(augmentation.repeats, batch_size)
    steps = training_steps(
        records.num_videos,
        batch_size,
        augmentation.repeats,
        f"The split {split!r} of {shards.folder}",
    )
    choices = Choices(
        spec=spec,
        augmentation=augmentation,
        unmirrored=tuple(unmirrored),
        sampling=sampling,
        short=short,
        target_fps=target_fps,
        seed=seed,
        shuffle_buffer=shuffle_buffer,
    )
    read_shard = shard_reader(records, cache)
    first_epoch = first_step // steps
    # Only the first epoch of a pass starts in its middle.
    skipped = tf.constant(first_step % steps * batch_size, tf.int64)

    def samples(epoch: tf.Tensor) -> tf.data.Dataset:
        return (
            epoch_samples(epoch, records.examples, read_shard, parse, choices)
            .take(steps * batch_size)
            .skip(tf.where(epoch == first_epoch, skipped, tf.zeros_like(skipped)))
        )

    clips = _part(_epochs(first_epoch, repeat).flat_map(samples), part, batch_size).map(
        lambda sample: _clip(sample, choices),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    batches = _batched(clips, part, element, drop_remainder=True)
    if repeat:
        return finished(batches, tf.data.INFINITE_CARDINALITY)
    # The first pass is shorter than the others where it starts in its middle.
    return finished(batches, tf.data.UNKNOWN_CARDINALITY if first_step % steps else steps)


def _part(clips: tf.data.Dataset, part: tuple[int, int], batch_size: int) -> tf.data.Dataset:
    """Keeps a worker's part of every batch; nothing is decoded yet."""
    first, end = part
    if end - first == batch_size:
        return clips

    def belongs(position: tf.Tensor, _: object) -> tf.Tensor:
        place = position % batch_size
        return tf.logical_and(place >= first, place < end)

    return clips.enumerate().filter(belongs).map(lambda _, clip: clip)


def _batched(
    clips: tf.data.Dataset,
    part: tuple[int, int],
    element: Callable[[Clips], Any],
    drop_remainder: bool,
) -> tf.data.Dataset:
    return clips.batch(part[1] - part[0], drop_remainder=drop_remainder).map(
        element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


# Training.


def _epochs(first: int, repeat: bool) -> tf.data.Dataset:
    """The epochs of one pass: all from `first` on, or one, the next at each pass."""
    if repeat:
        return tf.data.Dataset.counter(first)
    passes = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: iter([next(passes)]), output_signature=tf.TensorSpec((), tf.int64)
    )


def _clip(sample: Sample, choices: Choices) -> Clips:
    return Clips(
        pixels=decode(sample, choices),
        labels=sample.label,
        keys=sample.key,
        frames=sample.chosen,
        weights=tf.constant(1.0),
        distortion=sample.distortion,
    )


# Evaluation.


def _centre_views(
    videos: tf.data.Dataset,
    num_videos: int,
    spec: ClipSpec,
    batch_size: int,
    pad_last_batch: bool,
    part: tuple[int, int],
    element: Callable[[Clips], Any],
) -> tf.data.Dataset:
    num_batches = -(-num_videos // batch_size)
    weighted = videos.map(lambda video: (video, 1.0))
    if pad_last_batch:
        missing = num_batches * batch_size - num_videos
        spare = weighted.repeat().take(missing).map(lambda video, _: (video, 0.0))
        weighted = weighted.concatenate(spare)
    views = _part(weighted, part, batch_size).map(
        lambda video, weight: _view(video, weight, spec),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return finished(_batched(views, part, element, drop_remainder=pad_last_batch), num_batches)


def _view(video: Record, weight: tf.Tensor, spec: ClipSpec) -> Clips:
    pixels, frames = centre_view(video, spec)
    return Clips(
        pixels=pixels,
        labels=video[fields.LABEL_INDEX],
        keys=record_key_tensorflow(video),
        frames=frames,
        weights=weight,
        distortion=tf.zeros(2, tf.int64),
    )
