"""Shards to batches of clips, with tf.data.

Reading, then sampling on the encoded frames, then decoding only those, then
cutting out the view: each step is one function on tensors.
"""

from __future__ import annotations

import itertools
import os

import tensorflow as tf

from keras_t3d.clips import CENTRE, ClipSpec
from keras_t3d.data.arguments import (
    check_repeats,
    check_whole,
    opened,
    worker_slice,
)
from keras_t3d.data.augmentation import Augmentation
from keras_t3d.data.clip_draws import unmirrored_ids
from keras_t3d.data.mixing import mix
from keras_t3d.data.reading import checked_record, finished, records_in_order, shard_reader
from keras_t3d.data.sampling import check_sampling
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import SplitRecords, split_records
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.steps import training_steps
from keras_t3d.data.training_clips import Choices, Sample, decode, epoch_samples
from keras_t3d.data.views import view


def load_clips(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    spec: ClipSpec,
    batch_size: int,
    *,
    training: bool = False,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    sampling: str = "random",
    short: str = "loop",
    target_fps: float | None = None,
    shuffle_buffer: int = 256,
    repeat: bool = False,
    first_step: int = 0,
    pad_last_batch: bool = False,
    worker: tuple[int, int] = (0, 1),
    cache: bool | str | os.PathLike[str] = False,
    on_damage: str = "error",
) -> tf.data.Dataset:
    """Loads clips and labels for `model.fit`, `model.evaluate` and friends.

    With `training=True`: one random clip, window and flip of each video, or as many
    as `augmentation.repeats` says, next to each other. Each pass over the dataset is
    the next epoch; the k-th pass is the same in every run with the same seed.
    Batches are full: what is left over at the end of an epoch waits for the next
    one's order. With `repeat=True` one pass holds all epochs, without end: pass
    `steps_per_epoch` to `fit`, see `steps_per_epoch`.

    With `training=False`: the centre view of each video, in the order of the
    shards, always the same bytes.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` is at most the shards' short side.
        batch_size: int. Clips in a batch, over all devices and workers.
        training: bool. See above. Defaults to `False`.
        seed: int. Seed of order, clips, windows and flips. Defaults to `0`.
        augmentation: Augmentation, for training. Defaults to `Augmentation()`.
        sampling: for training: `"random"`, a clip that starts anywhere, or
            `"segments"`, one random frame of each of `spec.num_frames` equal parts of
            the video. Defaults to `"random"`.
        short: for training, what a video shorter than the clip gives: `"loop"` begins
            again, `"pad"` repeats the last frame, `"error"` refuses it. Defaults to
            `"loop"`, as in evaluation.
        target_fps: float, for training. Takes frames at this rate, whatever the
            video's; videos of unknown rate keep `spec.frame_stride`. Defaults to
            `None`, `spec.frame_stride` everywhere.
        shuffle_buffer: int. Videos whose clips, still as JPEG, are shuffled among each
            other, on top of the shuffled shards. Defaults to `256`.
        repeat: bool. Whether a training pass goes on with the next epochs.
            Defaults to `False`.
        first_step: int. Training batches to skip, counted from the first epoch:
            how a training run goes on. Skipped records are not decoded, whole
            skipped epochs are not read. Defaults to `0`.
        pad_last_batch: bool. Without training: repeats clips to fill the last
            batch, and gives (clips, labels, weights) with weight 0 for the
            repeated ones, which keeps every device busy. Defaults to `False`.
        worker: pair of ints (index, count), for training on several machines: gives
            this worker's part of every batch, `batch_size / count` clips; all parts
            together are the batch of a single process. Mixing stays within a part.
            Defaults to `(0, 1)`.
        cache: True keeps the shards, as they are, in memory once they were read, until
            the process ends; a folder keeps copies there, for later runs, too. For
            shards on slow disks or in an object store.
            Defaults to `False`.
        on_damage: `"error"`: a damaged record stops reading, see `damage_named`.
            `"skip"`: damaged records are left out, with a warning that names them; all
            shards are read once before the first batch. Defaults to `"error"`.

    Returns:
        A `tf.data.Dataset` of (clips, labels): uint8 of shape
        `(batch, *spec.input_shape)` with values 0..255, and int64 class ids. With
        `mixup` or `cutmix` the labels are float32 of shape `(batch, classes)`.

    Raises:
        ValueError: if the folder holds no finished shards, no such split, frames
            smaller than the spec resizes to, or too few videos for one batch; or if an
            argument is out of its range.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    train = keras_t3d.data.load_clips(
        "shards/ucf101", split="train", spec=spec, batch_size=32, training=True, seed=0
    )
    model.fit(train, epochs=10)
    ```
    """
    shards = opened(shards, split, spec)
    check_whole("batch_size", batch_size, 1)
    check_whole("shuffle_buffer", shuffle_buffer, 1)
    check_whole("seed", seed, 0)
    check_whole("first_step", first_step, 0)
    check_sampling(sampling, short, target_fps)
    part = worker_slice(worker, batch_size)
    records = split_records(shards, split, on_damage)
    if not training:
        if worker[1] > 1 and not pad_last_batch:
            raise ValueError(
                "Without training, workers need pad_last_batch=True: the last batch may hold "
                f"nothing for some of them. Received: worker={worker!r}, pad_last_batch=False"
            )
        return _centre_views(shards, records, spec, batch_size, pad_last_batch, part, cache)
    augmentation = augmentation or Augmentation()
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
        unmirrored=tuple(unmirrored_ids(augmentation, shards.class_names)),
        sampling=sampling,
        short=short,
        target_fps=target_fps,
        seed=seed,
        shuffle_buffer=shuffle_buffer,
    )
    read_shard, parse = shard_reader(records, cache), checked_record(shards)
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
    batches = clips.batch(part[1] - part[0], drop_remainder=True).map(
        lambda clips, labels, seeds: _batch(clips, labels, seeds, shards, augmentation),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
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


# Training.


def _epochs(first: int, repeat: bool) -> tf.data.Dataset:
    """The epochs of one pass: all from `first` on, or one, the next at each pass."""
    if repeat:
        return tf.data.Dataset.counter(first)
    passes = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: iter([next(passes)]), output_signature=tf.TensorSpec((), tf.int64)
    )


def _clip(sample: Sample, choices: Choices) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return decode(sample, choices), sample.label, sample.distortion


def _batch(
    clips: tf.Tensor,
    labels: tf.Tensor,
    seeds: tf.Tensor,
    shards: ShardSet,
    augmentation: Augmentation,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes a batch where that is asked for, by a seed that no distortion has."""
    if not augmentation.mixes:
        return clips, labels
    seed = tf.random.experimental.stateless_fold_in(seeds[0], _MIXING)
    return mix(clips, labels, len(shards.class_names), augmentation, seed)


_MIXING = 1000


# Evaluation.


def _centre_views(
    shards: ShardSet,
    records: SplitRecords,
    spec: ClipSpec,
    batch_size: int,
    pad_last_batch: bool,
    part: tuple[int, int],
    cache: bool | str | os.PathLike[str],
) -> tf.data.Dataset:
    num_batches = -(-records.num_videos // batch_size)
    weighted = records_in_order(shards, records, cache).map(lambda video: (video, 1.0))
    if pad_last_batch:
        missing = num_batches * batch_size - records.num_videos
        spare = weighted.repeat().take(missing).map(lambda video, _: (video, 0.0))
        weighted = weighted.concatenate(spare)
    views = _part(weighted, part, batch_size).map(
        lambda video, weight: (view(video, spec, None, CENTRE), video[fields.LABEL_INDEX], weight),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    if not pad_last_batch:
        views = views.map(lambda clip, label, _: (clip, label))
    return finished(views.batch(part[1] - part[0]), num_batches)
