"""Shards to batches of clips and labels, with tf.data."""

from __future__ import annotations

import functools
import os

import tensorflow as tf

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.mixing import mix
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.arguments import opened
from keras_t3d.data.clips.clip_draws import unmirrored_ids
from keras_t3d.data.clips.reading import checked_record
from keras_t3d.data.clips.tensorflow_batches import Clips, clip_batches
from keras_t3d.data.shards.labels import check_labelled
from keras_t3d.data.shards.shard_set import ShardSet


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
        ValueError: if the folder holds no finished shards, no labels, no such split,
            frames smaller than the spec resizes to, or too few videos for one batch; or
            if an argument is out of its range.

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
    check_labelled(shards)
    augmentation = augmentation or Augmentation()
    element = _labelled
    if not training and pad_last_batch:
        element = _weighted
    elif training and augmentation.mixes:
        element = functools.partial(
            _mixed, num_classes=len(shards.class_names), augmentation=augmentation
        )
    return clip_batches(
        shards,
        split,
        spec,
        batch_size,
        training=training,
        seed=seed,
        augmentation=augmentation,
        sampling=sampling,
        short=short,
        target_fps=target_fps,
        shuffle_buffer=shuffle_buffer,
        repeat=repeat,
        first_step=first_step,
        pad_last_batch=pad_last_batch,
        worker=worker,
        cache=cache,
        on_damage=on_damage,
        parse=checked_record(shards),
        unmirrored=unmirrored_ids(augmentation, shards.class_names) if training else (),
        element=element,
    )


def _labelled(clips: Clips) -> tuple[tf.Tensor, ...]:
    return clips.pixels, clips.labels


def _weighted(clips: Clips) -> tuple[tf.Tensor, ...]:
    return clips.pixels, clips.labels, clips.weights


def _mixed(clips: Clips, num_classes: int, augmentation: Augmentation) -> tuple[tf.Tensor, ...]:
    """Mixes a batch by a seed that no distortion has."""
    seed = tf.random.experimental.stateless_fold_in(clips.distortion[0], _MIXING)
    return mix(clips.pixels, clips.labels, num_classes, augmentation, seed)


_MIXING = 1000
