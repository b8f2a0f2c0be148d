"""Shards to batches of clips and labels as NumPy arrays; needs no TensorFlow."""

from __future__ import annotations

import os

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.arguments import opened
from keras_t3d.data.clips.clip_draws import unmirrored_ids
from keras_t3d.data.clips.numpy_batches import ClipBatches, Clips
from keras_t3d.data.shards.labels import check_label, check_labelled
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.data.shards.shard_set import ShardSet


class ClipDataset(ClipBatches):
    """Clips and labels for `model.fit` and friends, on any Keras backend.

    The same clips in the same batches as `load_clips` with the same arguments: same
    order, frames, windows and flips. Pixels differ by the JPEG decoder, about one level
    of 255 in the mean: TensorFlow's is a fast approximation, and knows less of the
    colours at the edge of a window; Pillow's is accurate.

    Pass `shuffle=False` to `fit`: the order is shuffled here, and Keras would shuffle
    the batches once more. `fit` goes on to the next epoch by itself; who iterates by
    hand calls `on_epoch_end` after each pass. Keras may look at a first batch only to
    build the model, which counts as an epoch; with `repeat=True` it does not count.

    A batch is (clips, labels): uint8 of shape `(batch, *spec.input_shape)` with values
    0..255, and int64 class ids; with `pad_last_batch` float32 weights, too. Reading one
    raises a ValueError if a record is damaged or its label is not that of labels.txt.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        spec: ClipSpec. Its `resize` is at most the shards' short side.
        batch_size: int. Clips in a batch, over all devices and workers.
        training: bool. Whether to draw a random clip, window and flip of each video,
            in shuffled order and full batches, rather than the centre view of each in
            the order of the shards. Defaults to `False`.
        seed: int. Seed of order, clips, windows and flips. Defaults to `0`.
        augmentation: Augmentation, for training: windows, flips and repeats; colours,
            erasing and mixing need `load_clips`. Defaults to `Augmentation()`.
        sampling: see `load_clips`. Defaults to `"random"`.
        short: see `load_clips`. Defaults to `"loop"`.
        target_fps: see `load_clips`. Defaults to `None`.
        shuffle_buffer: int. Videos that are shuffled among each other, on top of the
            shuffled shards. Defaults to `256`.
        repeat: bool. Whether training goes on with the next epochs without end: pass
            `train.read_ahead()` and `steps_per_epoch=train.steps_per_epoch` to `fit`.
            Defaults to `False`.
        first_step: int. Training batches to skip, counted from the first epoch; a
            multiple of an epoch's batches without `repeat`. Nothing of them is read.
            Defaults to `0`.
        pad_last_batch: bool. See `load_clips`. Defaults to `False`.
        worker: pair of ints (index, count), for training on several machines: gives
            this worker's part of every batch and reads nothing else. Defaults to
            `(0, 1)`.
        on_damage: see `load_clips`. Defaults to `"error"`.
        workers: int. Threads that read batches ahead, see `keras.utils.PyDataset`; not
            with `repeat`, where Keras would lose batches. Defaults to `1`, which reads
            each batch when it is asked for.
        max_queue_size: int. Batches read ahead. Defaults to `10`.

    Raises:
        ValueError: as `load_clips`, or if the augmentation needs TensorFlow.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    train = keras_t3d.data.ClipDataset(
        "shards/ucf101", "train", spec, batch_size=32, training=True, workers=8
    )
    model.fit(train, epochs=10, shuffle=False)
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
        workers: int = 1,
        max_queue_size: int = 10,
    ) -> None:
        shards = opened(shards, split, spec)
        check_labelled(shards)
        augmentation = augmentation or Augmentation()
        super().__init__(
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
            on_damage=on_damage,
            workers=workers,
            max_queue_size=max_queue_size,
            unmirrored=unmirrored_ids(augmentation, shards.class_names) if training else (),
        )
        self._shards = shards

    def _video(self, shard: int, record: int) -> StoredVideo:
        video = super()._video(shard, record)
        check_label(self._shards, video, self._records.paths[shard])
        return video

    def _element(self, clips: Clips) -> tuple[np.ndarray, ...]:
        labels = np.array([video.label_index for video in clips.videos], np.int64)
        if self._pad_last_batch and not self._training:
            return clips.pixels, labels, clips.weights
        return clips.pixels, labels
