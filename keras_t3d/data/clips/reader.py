"""Shards to batches of clips: one reader, as tf.data or as NumPy arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.clips import ClipSpec
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.clip import Transform
from keras_t3d.data.clips.options import read_options
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.shards.damage import check_local
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import check_integer

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_t3d.data.clips.numpy_form import ClipDataset


class ClipReader(ReadPlan):
    """Reads clips from shards, for training or evaluation, with labels or without.

    Each record passes through these phases, in both forms:

    ```
    parse      a serialized record -> encoded frames and metadata
    sample     choose the clip's frames, window and flip, on encoded frames
    decode     decode only those, cut out, resize, mirror, distort -> Clip
    transform  `transforms`, your own functions on a Clip
    batch      stack clips; mix them and their labels
    ```

    In training a video gives one random clip per epoch (or `augmentation.repeats`, next to each
    other), in shuffled order and full batches. In evaluation it gives its centre view, in the
    order of the shards, always the same bytes. Order and draws are a pure function of seed,
    epoch and position: both forms give the same clips, and resume at any step. Pixels differ by
    the JPEG decoder, by about one level of 255 on average.

    Labelled batches are (clips, labels): uint8 `(batch, *clip_spec.input_shape)` with values
    0..255 and int64 class ids; with `mixup` or `cutmix` float32 labels `(batch, classes)`; with
    `pad_last_batch` a dict of `"labels"` and float32 `"weights"`, 0 for clips that only fill the
    batch, which `VideoClassifier` and `Learner` read. Unlabelled batches are dicts: `"clips"`, and
    `"videos"`, int32 numbers that are equal for clips of the same source video.

    Args:
        shards: folder that `convert` wrote, or a ShardSet.
        split: `"train"`, `"val"` or `"test"`.
        clip_spec: frames and size of a clip. Its `resize` is at most the shards' short side.
        batch_size: clips in a batch, over all devices and workers.
        training: whether to read random training clips instead of centre views.
        seed: seed of order, clips, windows and flips.
        augmentation: random changes to training clips; None is `Augmentation()`.
        options: further options; None is `ReadOptions()`.
        labelled: whether to read labels. Without, shards need none, and none are checked.
        transforms: functions from Clip to Clip, applied to each clip before batching. Like a
            clip's fields, they work on tensors in the tf.data form and arrays in the NumPy form.

    Raises:
        InvalidArgumentError: if an argument is out of its range, the split is too small for one
            batch, or arguments contradict each other.
        ValueError: if the folder holds no finished shards, no labels or no such split.

    Example:

    ```python
    reader = keras_t3d.data.ClipReader(
        "shards", "train", model.clip_spec, batch_size=32, training=True
    )
    model.fit(reader.as_tf_dataset(), epochs=10)
    ```
    """

    def as_tf_dataset(self) -> tf.data.Dataset:
        """Returns the batches as a `tf.data.Dataset`.

        Each pass over a training dataset is the next epoch; with `repeat` one pass holds all
        epochs: pass `steps_per_epoch` to `fit`.
        """
        from keras_t3d.data.clips.tensorflow_form import clip_batches

        return clip_batches(self)

    def as_py_dataset(self, *, workers: int = 1, max_queue_size: int = 10) -> ClipDataset:
        """Returns the batches as a `keras.utils.PyDataset` of NumPy arrays, without TensorFlow.

        Pass `shuffle=False` to `fit`: the order is already shuffled. With `repeat` pass
        `dataset.read_ahead()` and `steps_per_epoch`.

        Args:
            workers: threads in which Keras reads ahead; 1 with `repeat`.
            max_queue_size: batches that Keras reads ahead.

        Raises:
            InvalidArgumentError: if the shards are remote, or an option needs the tf.data form:
                colour jitter, RandAugment, erasing, mixing, `cache`, or a `first_step` inside an
                epoch without `repeat`.
        """
        from keras_t3d.data.clips.numpy_form import ClipDataset

        return ClipDataset(self, workers=workers, max_queue_size=max_queue_size)

    def as_views(self, *, num_views: int | None = 1, num_crops: int = 1) -> tf.data.Dataset:
        """Returns evaluation views as a `tf.data.Dataset`: several clips and crops per record.

        `model.evaluate` scores each of them by itself; `keras_t3d.evaluation.evaluate` averages
        over a video. The views of a record follow each other.

        Args:
            num_views: clips per record, spread over its whole length; None takes consecutive
                clips that cover every frame.
            num_crops: 1, 3 or 5 crops of each clip, see `keras_t3d.clips.crop_positions`.

        Returns:
            Batches (clips, labels).

        Raises:
            InvalidArgumentError: if `num_views` or `num_crops` is out of its range, or the reader
                reads training clips or no labels.
        """
        views = self.as_views_of_records(num_views=num_views, num_crops=num_crops)
        return views.map(lambda clips, labels, ids, numbers: (clips, labels))

    def as_views_of_records(
        self, *, num_views: int | None = 1, num_crops: int = 1
    ) -> tf.data.Dataset:
        """Returns the views of `as_views`, and which record each is of.

        Args:
            num_views: see `as_views`.
            num_crops: see `as_views`.

        Returns:
            Batches (clips, labels, record ids, record numbers): as in labelled batches, strings
            `(batch,)`, and int64 `(batch,)`, the record's index in the split.

        Raises:
            InvalidArgumentError: see `as_views`.
        """
        from keras_t3d.data.clips.views import view_batches

        return view_batches(self, num_views=num_views, num_crops=num_crops)

    def batch_videos(self, step: int) -> list[str]:
        """Returns the ids of the videos in a training batch, reading only their records.

        Args:
            step: index of the batch, from 0, counted from the first epoch.

        Returns:
            One id per video, in the order of the batch over all workers. A record without an id
            is named by its file and byte.

        Raises:
            InvalidArgumentError: if `step` is negative, or the shards are remote.
            ValueError: if a record is damaged.
        """
        check_integer("step", step, 0, 1000)
        check_local(self.records.paths, "batch_videos")
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        order = epoch_order(self.records.examples, self.seed, epoch, self.options.shuffle_buffer)
        videos = self.batch_size // self.augmentation.repeats
        first = step_in_epoch * videos
        ids = []
        for shard, record in order[first : first + videos].tolist():
            offset = self.records.offsets_in(shard)[record]
            video = self.records.read_video(shard, record, offset)
            ids.append(video.video_id or f"{self.records.paths[shard]}, byte {offset}")
        return ids


def load_clips(
    shards: str | os.PathLike[str] | ShardSet,
    split: str,
    clip_spec: ClipSpec,
    batch_size: int,
    *,
    training: bool = False,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    labelled: bool = True,
    transforms: Sequence[Transform] = (),
    **options: Any,
) -> tf.data.Dataset:
    """Loads clips as a `tf.data.Dataset` for `model.fit`, `model.evaluate` and the like.

    Short for `ClipReader(...).as_tf_dataset()`.

    Args:
        shards: folder of shards, or a ShardSet.
        split: split to read, such as "train".
        clip_spec: the clips to read.
        batch_size: clips per batch.
        training: whether to draw random clips in random order, instead of centre views in order.
        seed: seed of order, frames, windows and augmentation.
        augmentation: how training clips are cropped and changed.
        labelled: whether to read labels.
        transforms: functions applied to each clip, see ClipReader.
        **options: the options of ReadOptions, by name, such as `target_fps=12.5`.

    Returns:
        Batches of (clips, labels), or of dicts without labels, see ClipReader.

    Raises:
        InvalidArgumentError: as ClipReader.
        ValueError: as ClipReader.

    Example:

    ```python
    train = keras_t3d.data.load_clips(
        "shards", "train", model.clip_spec, batch_size=32, training=True, seed=0
    )
    model.fit(train, epochs=10)
    ```
    """
    return ClipReader(
        shards,
        split,
        clip_spec,
        batch_size,
        training=training,
        seed=seed,
        augmentation=augmentation,
        options=read_options(options),
        labelled=labelled,
        transforms=transforms,
    ).as_tf_dataset()
