"""Shards to batches of clips as NumPy arrays, for JAX and PyTorch; needs no TensorFlow."""

from __future__ import annotations

import collections
import concurrent.futures
import io
import itertools
import os
import threading
from collections.abc import Iterator

import keras
import numpy as np
from PIL import Image

from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.arguments import (
    check_repeats,
    check_whole,
    opened,
    worker_slice,
)
from keras_t3d.data.augmentation import Augmentation
from keras_t3d.data.clip_draws import ClipDraws, draw_clips, unmirrored_ids
from keras_t3d.data.order import epoch_order
from keras_t3d.data.sampling import (
    centre_clip,
    check_sampling,
    fps_stride,
    random_clip,
    segment_clip,
)
from keras_t3d.data.shards.damage import check_local, damaged_shard, split_records
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import RecordError, read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.data.steps import training_steps
from keras_t3d.data.windows import place_window

_TENSORFLOW_ONLY = (
    "brightness", "contrast", "saturation", "hue", "rand_augment", "erasing", "mixup", "cutmix",
)  # fmt: skip


class ClipDataset(keras.utils.PyDataset):
    """Clips and labels for `model.fit` and friends, on any Keras backend.

    The same clips in the same batches as `load_clips` with the same arguments: same
    order, frames, windows and flips. Pixels differ by the JPEG decoder, about one level
    of 255 in the mean: TensorFlow's is a fast approximation, and knows less of the
    colours at the edge of a window; Pillow's is accurate.

    Pass `shuffle=False` to `fit`: the order is shuffled here, and Keras would shuffle
    the batches once more. `fit` goes on to the next epoch by itself; who iterates by
    hand calls `on_epoch_end` after each pass. Keras may look at a first batch only to
    build the model, which counts as an epoch; with `repeat=True` it does not count.

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
        super().__init__(workers=workers, max_queue_size=max_queue_size)
        if repeat and workers > 1:
            raise ValueError(
                "ClipDataset: with repeat=True Keras drops what its threads have read when it "
                "begins anew: use workers=1, and give `fit` dataset.read_ahead(threads=8). "
                f"Received: workers={workers}"
            )
        self._shards = opened(shards, split, spec)
        check_whole("batch_size", batch_size, 1)
        check_whole("shuffle_buffer", shuffle_buffer, 1)
        check_whole("seed", seed, 0)
        check_whole("first_step", first_step, 0)
        check_sampling(sampling, short, target_fps)
        self._spec = spec
        self._batch_size = batch_size
        self._training = training
        self._seed = seed
        self._augmentation = augmentation or Augmentation()
        self._sampling, self._short, self._target_fps = sampling, short, target_fps
        self._shuffle_buffer = shuffle_buffer
        self._repeat = repeat
        self._pad_last_batch = pad_last_batch
        self._part = worker_slice(worker, batch_size)
        self._records = split_records(self._shards, split, on_damage)
        check_local(self._records.paths, "ClipDataset")
        self._offsets = self._records.offsets or tuple(map(_all_offsets, self._records.paths))
        self._orders: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        if training:
            self._check_training(first_step, f"The split {split!r} of {self._shards.folder}")
        else:
            self._steps = -(-self._records.num_videos // batch_size)
            if worker[1] > 1:
                raise ValueError(
                    "ClipDataset: without training every worker reads all clips. "
                    f"Received: worker={worker!r}"
                )

    def _check_training(self, first_step: int, source: str) -> None:
        augmentation = self._augmentation
        asked = [name for name in _TENSORFLOW_ONLY if getattr(augmentation, name)]
        if asked:
            raise ValueError(
                f"ClipDataset: {', '.join(asked)} need TensorFlow: use load_clips, or leave them "
                f"at 0. Received: {augmentation}"
            )
        self._unmirrored = unmirrored_ids(augmentation, self._shards.class_names)
        check_repeats(augmentation.repeats, self._batch_size)
        self._steps = training_steps(
            self._records.num_videos, self._batch_size, augmentation.repeats, source
        )
        if not self._repeat and first_step % self._steps:
            raise ValueError(
                "ClipDataset: without repeat=True an epoch cannot start in its middle: "
                f"`first_step` must be a multiple of its {self._steps} batches. "
                f"Received: first_step={first_step}"
            )
        self._first_step = first_step

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch; None where training repeats without end."""
        return None if self._training and self._repeat else self._steps

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, also where training repeats without end: for `fit`."""
        return self._steps

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch; Keras calls it."""
        if self._training and not self._repeat:
            self._first_step += self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Returns a batch.

        Args:
            index: int. Number of the batch, from 0.

        Returns:
            Clips, uint8 of shape `(batch, *spec.input_shape)` with values 0..255, and
            int64 class ids; with `pad_last_batch` float32 weights, too.

        Raises:
            ValueError: if a record is damaged or its label is not that of labels.txt.
        """
        if not self._training:
            return self._centre_views(index)
        epoch, step = divmod(self._first_step + index, self._steps)
        start = step * self._batch_size
        positions = np.arange(start + self._part[0], start + self._part[1])
        records = self._order(epoch)[positions // self._augmentation.repeats]
        draws = draw_clips(self._seed, epoch, positions, self._spec.num_frames, self._augmentation)
        clips = np.empty((len(positions), *self._spec.input_shape), np.uint8)
        labels = np.empty(len(positions), np.int64)
        place, video = (-1, -1), None
        for row, (shard, record) in enumerate(records.tolist()):
            if video is None or place != (shard, record):  # the repeats of a video are neighbours
                place, video = (shard, record), self._video(shard, record)
            clips[row] = self._random_clip(video, ClipDraws(*(part[row] for part in draws)))
            labels[row] = video.label_index
        return clips, labels

    def read_ahead(self, threads: int = 4, batches: int = 8) -> Iterator[tuple[np.ndarray, ...]]:
        """Gives the batches of a dataset with `repeat=True` in order, read by threads.

        Args:
            threads: int. Threads that read and decode. Defaults to `4`.
            batches: int. How many lie ready at most. Defaults to `8`.

        Returns:
            An endless iterator, for `fit` with `steps_per_epoch`.

        Example:

        ```python
        train = keras_t3d.data.ClipDataset(
            "shards/ucf101", "train", spec, batch_size=32, training=True, repeat=True
        )
        model.fit(train.read_ahead(), steps_per_epoch=train.steps_per_epoch, epochs=10)
        ```
        """
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            pending = collections.deque(pool.submit(self.__getitem__, n) for n in range(batches))
            for number in itertools.count(batches):
                yield pending.popleft().result()
                pending.append(pool.submit(self.__getitem__, number))

    def _order(self, epoch: int) -> np.ndarray:
        with self._lock:
            if epoch not in self._orders:
                order = epoch_order(self._records.examples, self._seed, epoch, self._shuffle_buffer)
                # Threads that read ahead may be an epoch ahead; no more are kept.
                self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
                self._orders[epoch] = order
            return self._orders[epoch]

    def _centre_views(self, index: int) -> tuple[np.ndarray, ...]:
        bounds = np.cumsum(self._records.examples)
        numbers = index * self._batch_size + np.arange(self._batch_size)
        weights = (numbers < self._records.num_videos).astype(np.float32)
        if self._pad_last_batch:
            numbers = numbers % self._records.num_videos
        else:
            numbers = numbers[weights > 0]
        clips = np.empty((len(numbers), *self._spec.input_shape), np.uint8)
        labels = np.empty(len(numbers), np.int64)
        for row, number in enumerate(numbers):
            shard = int(np.searchsorted(bounds, number, side="right"))
            record = int(number - bounds[shard] + self._records.examples[shard])
            video = self._video(shard, record)
            chosen = centre_clip(len(video.frames), self._spec)
            # The frames of the view alone; their distances are already the spec's.
            clips[row] = take_view(_decoded(video, chosen), _one_by_one(self._spec), start=0)
            labels[row] = video.label_index
        return (clips, labels, weights) if self._pad_last_batch else (clips, labels)

    def _video(self, shard: int, record: int) -> StoredVideo:
        path, offset = self._records.paths[shard], int(self._offsets[shard][record])
        try:
            with open(path, "rb") as file:
                video = stored_video(read_record(file, offset))
        except ValueError as error:
            raise damaged_shard(f"{path}, record {record}: {error}") from None
        check_label(self._shards, video, path)
        return video

    def _random_clip(self, video: StoredVideo, draws: ClipDraws) -> np.ndarray:
        spec = self._spec
        if self._sampling == "segments":
            chosen = segment_clip(
                len(video.frames), spec.num_frames, draws.segments, short=self._short
            )
        else:
            stride = fps_stride(video.fps, self._target_fps, spec.frame_stride)
            chosen = random_clip(
                len(video.frames), spec, float(draws.start), stride=stride, short=self._short
            )
        top, left, height, width = place_window(
            video.height, video.width, spec, self._augmentation, draws.window
        ).tolist()
        clip = _decoded(video, chosen)[:, top : top + height, left : left + width]
        if (height, width) != spec.crop_size:
            clip = _resized(clip, *spec.crop_size)
        if draws.mirrored and video.label_index not in self._unmirrored:
            clip = clip[:, :, ::-1]
        return clip


def _all_offsets(path: str) -> np.ndarray:
    try:
        return record_offsets(path)
    except RecordError as error:
        raise damaged_shard(str(error)) from None


def _one_by_one(spec: ClipSpec) -> ClipSpec:
    return ClipSpec.from_config({**spec.get_config(), "frame_stride": 1})


def _decoded(video: StoredVideo, chosen: np.ndarray) -> np.ndarray:
    frames, rows = np.unique(chosen, return_inverse=True)  # a looped video repeats frames
    images = [Image.open(io.BytesIO(video.frames[index])).convert("RGB") for index in frames]
    return np.stack([np.asarray(image) for image in images])[rows]


def _resized(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, as `tf.image.resize` does it: no antialiasing, in float32."""
    below, above, share = _neighbours(frames.shape[2], width)
    left, right = (frames[:, :, columns].astype(np.float32) for columns in (below, above))
    wide = left + (right - left) * share[:, None]
    below, above, share = _neighbours(frames.shape[1], height)
    upper, lower = wide[:, below], wide[:, above]
    return (upper + (lower - upper) * share[:, None, None] + np.float32(0.5)).astype(np.uint8)


def _neighbours(size_in: int, size_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scale = np.float32(size_in) / np.float32(size_out)
    places = (np.arange(size_out, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(places)
    below = np.maximum(floor, 0).astype(np.int64)
    above = np.minimum(np.ceil(places), size_in - 1).astype(np.int64)
    return below, above, places - floor
