"""Computes a function of the views of many videos, in batches across videos."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.data.sources.listing import VideoEntry
from keras_t3d.data.video.decoding_process import DecodingProcess
from keras_t3d.data.video.parallel_decoding import decoded_in_order
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.bulk.options import BulkOptions
from keras_t3d.inference.bulk.view_worker import ReadVideo, new_process, read_isolated, read_video
from keras_t3d.inference.predictor import NOT_FINITE

Function = Callable[[np.ndarray], np.ndarray]  # of uint8 clips: float32 (clips, width)


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What a model returns for a video.

    Attributes:
        video: the video as it was named, followed by `@start-end` for a span of one.
        values: float32 array, the mean over the views: a probability per class, or an embedding.
            None if the video cannot be read.
        num_views: number of views.
        damage: what was left out because it does not decode; None if the video is complete.
        error: why the video cannot be read; None if it can.
    """

    video: str
    values: np.ndarray | None
    num_views: int
    damage: str | None
    error: str | None


def video_results(
    function: Function,
    clip_spec: ClipSpec,
    videos: Sequence[VideoEntry],
    options: BulkOptions,
    done: Sequence[int] = (),
) -> Iterator[VideoResult]:
    """Yields the results of videos in their order.

    How a library adds up can depend on the size of a batch and the place in it. So batches hold
    the same views whichever videos are done already: those of the last batch are computed again.

    Args:
        function: what to compute.
        clip_spec: the clips that it reads.
        videos: all videos.
        options: BulkOptions.
        done: number of views of each of the first videos, whose results are known.

    Yields:
        VideoResults of the other videos.

    Raises:
        InvalidArgumentError: if the function returns values that are not finite.
    """
    first, skipped = _first_view(done, options.batch_size)
    with _read_ahead(videos[first:], clip_spec, options) as read:
        results = _computed(function, read, options.batch_size, skipped)
        yield from itertools.islice(results, len(done) - first, None)


def _first_view(done: Sequence[int], batch_size: int) -> tuple[int, int]:
    """Returns where the last batch begins: the video, and the number of its views before that."""
    ends = np.cumsum(done, dtype=np.int64)
    total = int(ends[-1]) if len(done) else 0
    begin = total - total % batch_size
    video = int(np.searchsorted(ends, begin, side="right"))
    return video, begin - (int(ends[video - 1]) if video else 0)


@contextlib.contextmanager
def _read_ahead(
    videos: Sequence[VideoEntry], clip_spec: ClipSpec, options: BulkOptions
) -> Iterator[Iterator[ReadVideo]]:
    """Yields the videos with their views, in order."""
    num_views, workers = options.num_views, options.workers_for(len(videos))
    if not workers:
        yield (read_video(entry, clip_spec, num_views) for entry in videos)
        return

    def read(process: DecodingProcess, entry: VideoEntry) -> ReadVideo:
        return read_isolated(process, entry, clip_spec, num_views)

    processes = [new_process(options.time_limit) for _ in range(workers)]
    # While a batch is computed, the next one is decoded.
    with decoded_in_order(processes, read, videos, workers + options.batch_size) as read_videos:
        yield read_videos


@dataclasses.dataclass
class _Waiting:
    """A video some of whose views are still to be computed."""

    video: ReadVideo
    to_come: int
    outputs: list[np.ndarray] = dataclasses.field(default_factory=list)

    def result(self) -> VideoResult:
        video = self.video
        values = np.mean(self.outputs, axis=0) if self.outputs else None
        if values is not None and not np.isfinite(values).all():
            raise InvalidArgumentError(f"{NOT_FINITE} Received: NaN for {video.video_id!r}")
        return VideoResult(video.video_id, values, len(video.clips), video.damage, video.error)


def _computed(
    function: Function, videos: Iterable[ReadVideo], batch_size: int, skipped: int
) -> Iterator[VideoResult]:
    """Yields the results of videos; the first views of the first one are skipped."""
    waiting: collections.deque[_Waiting] = collections.deque()
    batch: list[tuple[_Waiting, np.ndarray]] = []
    for video in videos:
        clips = video.clips[skipped:]
        skipped = 0
        waiting.append(_Waiting(video, len(clips)))
        for clip in clips:
            batch.append((waiting[-1], clip))
            if len(batch) == batch_size:
                _compute(function, batch)
        while waiting and not waiting[0].to_come:
            yield waiting.popleft().result()
    if batch:
        _compute(function, batch)
    yield from (video.result() for video in waiting)


def _compute(function: Function, batch: list[tuple[_Waiting, np.ndarray]]) -> None:
    outputs = function(np.stack([clip for _, clip in batch]))
    for (video, _), output in zip(batch, outputs, strict=True):
        video.outputs.append(output)
        video.to_come -= 1
    batch.clear()
