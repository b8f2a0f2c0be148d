"""Shards to batches of clips as NumPy arrays: what labelled and unlabelled clips share."""

from __future__ import annotations

import abc
import collections
import concurrent.futures
import io
import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image

from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.arguments import check_repeats, check_whole, worker_slice
from keras_t3d.data.clips.clip_draws import ClipDraws, draw_clips
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.clips.sampling import (
    centre_clip,
    check_sampling,
    fps_stride,
    random_clip,
    segment_clip,
)
from keras_t3d.data.clips.steps import training_steps
from keras_t3d.data.clips.windows import place_window
from keras_t3d.data.shards.damage import check_local, damaged_shard, split_records
from keras_t3d.data.shards.record import StoredVideo, stored_video
from keras_t3d.data.shards.record_file import RecordError, read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet

_TENSORFLOW_ONLY = (
    "brightness", "contrast", "saturation", "hue", "rand_augment", "erasing", "mixup", "cutmix",
)  # fmt: skip


class Clips(NamedTuple):
    """A batch of decoded clips.

    Attributes:
        pixels: uint8 (batch, *spec.input_shape).
        videos: StoredVideo. The record of each clip.
        frames: int64 (batch, num_frames). Places of the clips' frames in their records.
        weights: float32 (batch,). 0 for those that only fill the last batch.
    """

    pixels: np.ndarray
    videos: list[StoredVideo]
    frames: np.ndarray
    weights: np.ndarray


class ClipBatches(keras.utils.PyDataset, abc.ABC):
    """Batches of clips; who derives from it says what a batch is given as.

    Args:
        See `ClipDataset`; none has a default here.
        unmirrored: ints. Ids of classes whose clips are never mirrored.

    Raises:
        ValueError: as `ClipDataset`.
    """

    def __init__(
        self,
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
        on_damage: str,
        workers: int,
        max_queue_size: int,
        unmirrored: Sequence[int],
    ) -> None:
        super().__init__(workers=workers, max_queue_size=max_queue_size)
        self._kind = type(self).__name__
        if repeat and workers > 1:
            raise ValueError(
                f"{self._kind}: with repeat=True Keras drops what its threads have read when it "
                "begins anew: use workers=1, and give `fit` dataset.read_ahead(threads=8). "
                f"Received: workers={workers}"
            )
        check_whole("batch_size", batch_size, 1)
        check_whole("shuffle_buffer", shuffle_buffer, 1)
        check_whole("seed", seed, 0)
        check_whole("first_step", first_step, 0)
        check_sampling(sampling, short, target_fps)
        self._spec = spec
        self._batch_size = batch_size
        self._training = training
        self._seed = seed
        self._augmentation = augmentation
        self._sampling, self._short, self._target_fps = sampling, short, target_fps
        self._shuffle_buffer = shuffle_buffer
        self._repeat = repeat
        self._pad_last_batch = pad_last_batch
        self._unmirrored = unmirrored
        self._part = worker_slice(worker, batch_size)
        self._records = split_records(shards, split, on_damage, stacklevel=4)
        check_local(self._records.paths, self._kind)
        self._offsets = self._records.offsets or tuple(map(_all_offsets, self._records.paths))
        self._orders: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        if training:
            self._check_training(first_step, f"The split {split!r} of {shards.folder}")
        else:
            self._steps = -(-self._records.num_videos // batch_size)
            if worker[1] > 1:
                raise ValueError(
                    f"{self._kind}: without training every worker reads all clips. "
                    f"Received: worker={worker!r}"
                )

    def _check_training(self, first_step: int, source: str) -> None:
        augmentation = self._augmentation
        asked = [name for name in _TENSORFLOW_ONLY if getattr(augmentation, name)]
        if asked:
            raise ValueError(
                f"{self._kind}: {', '.join(asked)} need TensorFlow: use load_clips (without labels "
                f"load_unlabelled_clips), or leave them at 0. Received: {augmentation}"
            )
        check_repeats(augmentation.repeats, self._batch_size)
        self._steps = training_steps(
            self._records.num_videos, self._batch_size, augmentation.repeats, source
        )
        if not self._repeat and first_step % self._steps:
            raise ValueError(
                f"{self._kind}: without repeat=True an epoch cannot start in its middle: "
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

    def __getitem__(self, index: int) -> Any:
        """Returns a batch.

        Args:
            index: int. Number of the batch, from 0.

        Returns:
            The batch, as the class says.

        Raises:
            ValueError: if a record is damaged or refused.
        """
        clips = self._random_clips(index) if self._training else self._centre_views(index)
        return self._element(clips)

    @abc.abstractmethod
    def _element(self, clips: Clips) -> Any:
        """What a batch of clips is given as."""

    def read_ahead(self, threads: int = 4, batches: int = 8) -> Iterator[Any]:
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

    def _random_clips(self, index: int) -> Clips:
        epoch, step = divmod(self._first_step + index, self._steps)
        start = step * self._batch_size
        positions = np.arange(start + self._part[0], start + self._part[1])
        records = self._order(epoch)[positions // self._augmentation.repeats]
        draws = draw_clips(self._seed, epoch, positions, self._spec.num_frames, self._augmentation)
        clips = self._empty(len(positions))
        place, video = (-1, -1), None
        for row, (shard, record) in enumerate(records.tolist()):
            if video is None or place != (shard, record):  # the repeats of a video are neighbours
                place, video = (shard, record), self._video(shard, record)
            drawn = ClipDraws(*(part[row] for part in draws))
            clips.pixels[row], clips.frames[row] = self._random_clip(video, drawn)
            clips.videos.append(video)
        return clips

    def _centre_views(self, index: int) -> Clips:
        bounds = np.cumsum(self._records.examples)
        numbers = index * self._batch_size + np.arange(self._batch_size)
        weights = (numbers < self._records.num_videos).astype(np.float32)
        if self._pad_last_batch:
            numbers = numbers % self._records.num_videos
        else:
            numbers, weights = numbers[weights > 0], weights[weights > 0]
        clips = self._empty(len(numbers))._replace(weights=weights)
        for row, number in enumerate(numbers):
            shard = int(np.searchsorted(bounds, number, side="right"))
            record = int(number - bounds[shard] + self._records.examples[shard])
            video = self._video(shard, record)
            chosen = centre_clip(len(video.frames), self._spec)
            # The frames of the view alone; their distances are already the spec's.
            clips.pixels[row] = take_view(_decoded(video, chosen), _one_by_one(self._spec), start=0)
            clips.frames[row] = chosen
            clips.videos.append(video)
        return clips

    def _empty(self, count: int) -> Clips:
        return Clips(
            pixels=np.empty((count, *self._spec.input_shape), np.uint8),
            videos=[],
            frames=np.empty((count, self._spec.num_frames), np.int64),
            weights=np.ones(count, np.float32),
        )

    def _video(self, shard: int, record: int) -> StoredVideo:
        path, offset = self._records.paths[shard], int(self._offsets[shard][record])
        try:
            with open(path, "rb") as file:
                return stored_video(read_record(file, offset))
        except ValueError as error:
            raise damaged_shard(f"{path}, record {record}: {error}") from None

    def _random_clip(self, video: StoredVideo, draws: ClipDraws) -> tuple[np.ndarray, np.ndarray]:
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
        return clip, chosen


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
