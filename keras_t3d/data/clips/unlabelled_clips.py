"""Shards to batches of clips without labels: with tf.data, and as NumPy arrays.

Records, frames, windows and flips are those of `load_clips` and `ClipDataset`; what a
batch says of its clips is not their classes, but which of them are of one video.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.arguments import opened
from keras_t3d.data.clips.numpy_batches import ClipBatches, Clips
from keras_t3d.data.clips.source_videos import record_key, source_number
from keras_t3d.data.shards.shard_set import ShardSet

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_t3d.data.clips import tensorflow_batches
    from keras_t3d.data.clips.frame_features import FrameFeatures

CLIPS = "clips"
VIDEOS = "videos"
FRAME_FEATURES = "frame_features"
_FILLS_THE_BATCH = -1


def load_unlabelled_clips(
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
    frame_features: FrameFeatures | None = None,
) -> tf.data.Dataset:
    """Loads clips for learning from video without labels.

    The clips of `load_clips` with the same arguments, of shards with labels or without;
    labels are not read.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` is at most the shards' short side.
        batch_size: int. Clips in a batch, over all devices and workers.
        training: see `load_clips`. Defaults to `False`.
        seed: see `load_clips`. Defaults to `0`.
        augmentation: Augmentation, for training, without mixing and `no_flip_classes`.
            Defaults to `Augmentation()`.
        sampling: see `load_clips`. Defaults to `"random"`.
        short: see `load_clips`. Defaults to `"loop"`.
        target_fps: see `load_clips`. Defaults to `None`.
        shuffle_buffer: see `load_clips`. Defaults to `256`.
        repeat: see `load_clips`. Defaults to `False`.
        first_step: see `load_clips`. Defaults to `0`.
        pad_last_batch: bool. Without training: repeats clips to fill the last batch,
            which have -1 for a video. Defaults to `False`.
        worker: see `load_clips`. Defaults to `(0, 1)`.
        cache: see `load_clips`. Defaults to `False`.
        on_damage: see `load_clips`. Defaults to `"error"`.
        frame_features: FrameFeatures of these shards. Defaults to `None`.

    Returns:
        A `tf.data.Dataset` of dicts. `"clips"`: uint8 `(batch, *spec.input_shape)` with
        values 0..255. `"videos"`: int32 `(batch,)`, the same number for clips of one
        source video, which are also its parts and spans, and another for every other.
        With `frame_features`, too, `"frame_features"`: float32 `(batch, width)`, the
        mean over the clip's frames.

    Raises:
        ValueError: as `load_clips`, or if the augmentation has no meaning without labels.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    clips = keras_t3d.data.load_unlabelled_clips(
        "shards/unlabelled", "train", spec, batch_size=32, training=True
    )
    for batch in clips:
        batch["clips"].shape, batch["videos"].shape  # (32, 16, 112, 112, 3), (32,)
    ```
    """
    import tensorflow as tf

    from keras_t3d.data.clips.tensorflow_batches import clip_batches
    from keras_t3d.data.shards.record_tensors import parse_record

    def element(clips: tensorflow_batches.Clips) -> dict[str, tf.Tensor]:
        count = clips.pixels.shape[0]
        numbers = tf.numpy_function(
            lambda keys, weights: _video_numbers(_texts(keys), weights),
            [clips.keys, clips.weights],
            tf.int32,
        )
        batch = {CLIPS: clips.pixels, VIDEOS: tf.ensure_shape(numbers, (count,))}
        if frame_features is not None:
            means = tf.numpy_function(
                lambda keys, frames: _mean_features(frame_features, _texts(keys), frames),
                [clips.keys, clips.frames],
                tf.float32,
            )
            batch[FRAME_FEATURES] = tf.ensure_shape(means, (count, frame_features.width))
        return batch

    return clip_batches(
        opened(shards, split, spec),
        split,
        spec,
        batch_size,
        training=training,
        seed=seed,
        augmentation=_without_labels(augmentation),
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
        parse=parse_record,
        unmirrored=(),
        element=element,
    )


class UnlabelledClipDataset(ClipBatches):
    """Clips for learning from video without labels, on any Keras backend.

    To `load_unlabelled_clips` what `ClipDataset` is to `load_clips`: the same batches
    without TensorFlow, as dicts of NumPy arrays, but for the pixels' last bits.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` is at most the shards' short side.
        batch_size: int. Clips in a batch, over all devices and workers.
        training: see `ClipDataset`. Defaults to `False`.
        seed: see `ClipDataset`. Defaults to `0`.
        augmentation: Augmentation, for training: windows, flips and repeats. Defaults to
            `Augmentation()`.
        sampling: see `ClipDataset`. Defaults to `"random"`.
        short: see `ClipDataset`. Defaults to `"loop"`.
        target_fps: see `ClipDataset`. Defaults to `None`.
        shuffle_buffer: see `ClipDataset`. Defaults to `256`.
        repeat: see `ClipDataset`. Defaults to `False`.
        first_step: see `ClipDataset`. Defaults to `0`.
        pad_last_batch: see `load_unlabelled_clips`. Defaults to `False`.
        worker: see `ClipDataset`. Defaults to `(0, 1)`.
        on_damage: see `ClipDataset`. Defaults to `"error"`.
        frame_features: FrameFeatures of these shards. Defaults to `None`.
        workers: see `ClipDataset`. Defaults to `1`.
        max_queue_size: see `ClipDataset`. Defaults to `10`.

    Raises:
        ValueError: as `ClipDataset`, or if the augmentation has no meaning without labels.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    clips = keras_t3d.data.UnlabelledClipDataset(
        "shards/unlabelled", "train", spec, batch_size=32, training=True, repeat=True
    )
    clips[0]["clips"].shape, clips[0]["videos"].shape  # (32, 16, 112, 112, 3), (32,)
    ```
    """

    def __init__(
        self,
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
        on_damage: str = "error",
        frame_features: FrameFeatures | None = None,
        workers: int = 1,
        max_queue_size: int = 10,
    ) -> None:
        super().__init__(
            opened(shards, split, spec),
            split,
            spec,
            batch_size,
            training=training,
            seed=seed,
            augmentation=_without_labels(augmentation),
            sampling=sampling,
            short=short,
            target_fps=target_fps,
            shuffle_buffer=shuffle_buffer,
            repeat=repeat,
            first_step=first_step,
            pad_last_batch=pad_last_batch,
            worker=worker,
            on_damage=on_damage,
            workers=workers,
            max_queue_size=max_queue_size,
            unmirrored=(),
        )
        self._frame_features = frame_features

    def _element(self, clips: Clips) -> dict[str, np.ndarray]:
        keys = [record_key(video.video_id, video.frames[0]) for video in clips.videos]
        batch = {CLIPS: clips.pixels, VIDEOS: _video_numbers(keys, clips.weights)}
        if self._frame_features is not None:
            batch[FRAME_FEATURES] = _mean_features(self._frame_features, keys, clips.frames)
        return batch


def _without_labels(augmentation: Augmentation | None) -> Augmentation:
    """Refuses what needs classes."""
    augmentation = augmentation or Augmentation()
    if augmentation.mixes:
        raise ValueError(
            "Augmentation: `mixup` and `cutmix` mix labels, and a mixed clip is of no one video: "
            f"leave them at 0 for clips without labels. Received: {augmentation}"
        )
    if augmentation.no_flip_classes:
        raise ValueError(
            "Augmentation: `no_flip_classes` needs labels: turn `flip` off for clips without them. "
            f"Received: no_flip_classes={augmentation.no_flip_classes}"
        )
    return augmentation


def _texts(keys: np.ndarray) -> list[str]:
    return [key.decode("utf-8", "surrogateescape") for key in keys.tolist()]


def _video_numbers(keys: Sequence[str], weights: np.ndarray) -> np.ndarray:
    numbers = np.array([source_number(key) for key in keys], np.int32)
    return np.where(weights > 0, numbers, np.int32(_FILLS_THE_BATCH))


def _mean_features(
    frame_features: FrameFeatures, keys: Sequence[str], frames: np.ndarray
) -> np.ndarray:
    means = [frame_features.mean(key, own) for key, own in zip(keys, frames, strict=True)]
    return np.stack(means).astype(np.float32)
