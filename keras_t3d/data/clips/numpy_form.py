"""The NumPy form of ClipReader: a `keras.utils.PyDataset`, without TensorFlow."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_t3d.data.clips.clip import (
    CLIPS,
    VIDEOS,
    Clip,
    apply_transforms,
    model_inputs,
    stack_clips,
    video_numbers,
)
from keras_t3d.data.clips.clip_draws import ClipDraws, draw_clips
from keras_t3d.data.clips.numpy_phases import evaluation_clip, training_clip
from keras_t3d.data.clips.order import epoch_order
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.shards.damage import check_local
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.errors import InvalidArgumentError

_TENSORFLOW_ONLY = (
    "brightness", "contrast", "saturation", "hue", "rand_augment", "erasing", "mixup", "cutmix",
)  # fmt: skip


class ClipDataset(keras.utils.PyDataset):
    """The batches of a ClipReader as NumPy arrays; made by `ClipReader.as_py_dataset`.

    `fit` moves on to the next epoch by itself; after a pass by hand, call `on_epoch_end`. Keras
    may read a first batch only to build the model, which counts as an epoch; not with `repeat`.

    Args:
        plan: what is read.
        workers: threads in which Keras reads ahead.
        max_queue_size: batches that Keras reads ahead.

    Raises:
        InvalidArgumentError: see `ClipReader.as_py_dataset`.
    """

    def __init__(self, plan: ReadPlan, *, workers: int, max_queue_size: int) -> None:
        super().__init__(workers=workers, max_queue_size=max_queue_size)
        _check(plan, workers)
        self._plan = plan
        self._first_step = plan.options.first_step
        self._offsets = [plan.records.offsets_in(n) for n in range(len(plan.records.paths))]
        self._lock = threading.Lock()
        # Threads that read ahead may be an epoch ahead.
        self._order_of = functools.lru_cache(maxsize=2)(
            lambda epoch: epoch_order(
                plan.records.examples, plan.seed, epoch, plan.options.shuffle_buffer
            )
        )

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch; None if training repeats without end."""
        repeats = self._plan.training and self._plan.options.repeat
        return None if repeats else self._plan.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, also if training repeats without end: for `fit`."""
        return self._plan.steps_per_epoch

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch; Keras calls it."""
        if self._plan.training and not self._plan.options.repeat:
            self._first_step += self._plan.steps_per_epoch

    def __getitem__(self, index: int) -> Any:
        """Returns a batch, see ClipReader.

        Args:
            index: index of the batch, from 0.

        Raises:
            ValueError: if a record is damaged or its label is wrong.
        """
        plan = self._plan
        clips = self._training_clips(index) if plan.training else self._evaluation_clips(index)
        batch = stack_clips([apply_transforms(clip, plan.transforms) for clip in clips])
        if not plan.labelled:
            numbers = video_numbers(batch.key, batch.weight)
            return {CLIPS: batch.pixels, VIDEOS: numbers, **batch.features}
        return model_inputs(batch), plan.labels_of(batch)

    def read_ahead(self, threads: int = 4, batches: int = 8) -> Iterator[Any]:
        """Yields the batches in order, read by threads.

        Args:
            threads: threads that read and decode.
            batches: batches to read ahead.

        Returns:
            An iterator over one epoch; with `repeat` over all epochs, without end, for `fit` with
            `steps_per_epoch`.

        Example:

        ```python
        reader = keras_t3d.data.ClipReader(
            "shards", "train", clip_spec, batch_size=32, training=True,
            options=keras_t3d.data.ReadOptions(repeat=True),
        )
        train = reader.as_py_dataset()
        model.fit(train.read_ahead(), steps_per_epoch=train.steps_per_epoch, epochs=10)
        ```
        """
        numbers = itertools.count() if self.num_batches is None else range(self.num_batches)
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            ahead = (pool.submit(self.__getitem__, number) for number in numbers)
            pending = collections.deque(itertools.islice(ahead, batches))
            while pending:
                yield pending.popleft().result()
                pending.extend(itertools.islice(ahead, 1))

    def _training_clips(self, index: int) -> Iterator[Clip]:
        plan = self._plan
        epoch, step = divmod(self._first_step + index, plan.steps_per_epoch)
        positions = (step * plan.batch_size + np.arange(plan.batch_size))[plan.worker_slice]
        with self._lock:  # no two threads compute the same order
            order = self._order_of(epoch)
        records = order[positions // plan.augmentation.repeats]
        draws = draw_clips(
            plan.seed, epoch, positions, plan.clip_spec.num_frames, plan.augmentation
        )
        rows = enumerate(map(tuple, records.tolist()))
        # Repeats of a video are neighbours.
        for (shard, record), repeats in itertools.groupby(rows, lambda row: row[1]):
            with self._opened(shard, record) as video:
                for row, _ in repeats:
                    yield training_clip(video, ClipDraws(*(part[row] for part in draws)), plan)

    def _evaluation_clips(self, index: int) -> Iterator[Clip]:
        plan, examples = self._plan, self._plan.records.examples
        bounds = np.cumsum(examples)
        numbers = (index * plan.batch_size + np.arange(plan.batch_size))[plan.worker_slice]
        for number in numbers.tolist():
            is_padding = number >= plan.records.num_videos
            if is_padding and not plan.pads:
                return
            place = number % plan.records.num_videos
            shard = int(np.searchsorted(bounds, place, side="right"))
            with self._opened(shard, int(place - bounds[shard] + examples[shard])) as video:
                yield evaluation_clip(video, np.float32(not is_padding), plan)

    @contextlib.contextmanager
    def _opened(self, shard: int, record: int) -> Iterator[StoredVideo]:
        plan = self._plan
        with plan.records.opened_video(shard, record, self._offsets[shard][record]) as video:
            if plan.labelled:
                check_label(plan.shards, video, plan.records.paths[shard])
            yield video


def _check(plan: ReadPlan, workers: int) -> None:
    """Raises an InvalidArgumentError for what only the tf.data form can do."""
    options = plan.options
    check_local(plan.records.paths, "The NumPy form of ClipReader")
    if options.cache is not False:
        raise InvalidArgumentError(
            "`cache` must be False in the NumPy form, which reads local files; the tf.data form "
            f"can cache. Received: cache={options.cache!r}",
            argument="cache",
        )
    if not plan.training:
        return
    if options.repeat and workers > 1:
        raise InvalidArgumentError(
            "`workers` must be 1 with `repeat`, as Keras drops what its threads have read between "
            "epochs: pass dataset.read_ahead(threads=8) to `fit`. "
            f"Received: workers={workers}",
            argument="workers",
        )
    unsupported = [name for name in _TENSORFLOW_ONLY if getattr(plan.augmentation, name)]
    if unsupported:
        raise InvalidArgumentError(
            f"Augmentation: {', '.join(f'`{name}`' for name in unsupported)} must be 0 in the "
            f"NumPy form; the tf.data form supports them. Received: {plan.augmentation}",
            argument="augmentation",
        )
    if not options.repeat and options.first_step % plan.steps_per_epoch:
        raise InvalidArgumentError(
            "`first_step` must be a multiple of the epoch's "
            f"{plan.steps_per_epoch} batches in the NumPy form without `repeat`. "
            f"Received: first_step={options.first_step}",
            argument="first_step",
        )
