"""What happens when: the scores of windows that slide over a video of any length."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.inference.hops import new_hop
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import SlidingWindow, Window
from keras_t3d.inference.smoothing import Smoothing, smoothed_scores


@dataclasses.dataclass(frozen=True)
class WindowScores:
    """The scores of one window of a video.

    Attributes:
        first_frame: int. Number of the window's first frame, from 0.
        start: float. Seconds from the video's beginning at which its first frame appears.
        end: float. Seconds at which its last frame gives way to the next.
        probabilities: float32 array of shape (classes,).
    """

    first_frame: int
    start: float
    end: float
    probabilities: np.ndarray


def stream_video(
    model: Any,
    video: str | os.PathLike[str] | VideoReader,
    *,
    hop: int | None = None,
    hop_seconds: float | None = None,
    num_crops: int = 1,
    smoothing: Smoothing | None = None,
    batch_size: int = 1,
) -> Iterator[WindowScores]:
    """Scores a window that slides over a video, which is decoded once.

    A window holds the frames of one clip of the model. Memory does not grow with the
    video's length: only the frames of a window are held, each resized once. The last window
    ends with the video; a video shorter than a window loops.

    Args:
        model: as for `predict_video`.
        video: path of the video, or an open VideoReader, whose `damage` says afterwards
            whether the video ended early.
        hop: int. Frames from the beginning of a window to that of the next. Without
            `hop` and `hop_seconds`, half a window. Defaults to `None`.
        hop_seconds: float. The same in seconds of the video's own clock: a window begins at
            the first frame (of every `frame_stride`-th) shown at or after each multiple.
            Defaults to `None`.
        num_crops: int. 1, 3 or 5 crops of each window, whose probabilities are averaged;
            see `keras_t3d.clips.crop_positions`. Defaults to `1`, the centre.
        smoothing: MeanOfLast, Exponential or None. Defaults to `None`: each window by itself.
        batch_size: int. Windows that are scored at once: faster on a GPU, results come
            later, and a clip of the larger networks needs hundreds of megabytes.
            Defaults to `1`.

    Returns:
        Iterator of WindowScores, in order.

    Raises:
        ValueError: if an argument is out of its range or the model cannot be read; a
            VideoError, when the first window is asked for, if the video cannot be read.

    Example:

    ```python
    predictor = load_predictor("t3d.tflite")
    for window in stream_video(predictor, "film.mp4", hop_seconds=1.0):
        best = predictor.class_names[window.probabilities.argmax()]
        print(f"{window.start:.2f} to {window.end:.2f} s: {best}")
    ```
    """
    predictor = load_predictor(model)
    spec = predictor.clip_spec
    sliding = SlidingWindow(spec, new_hop(spec, hop, hop_seconds), num_crops)
    scores = scored_windows(predictor, _frames(video), sliding, batch_size)
    return map(smoothed_scores(smoothing), scores)


def scored_windows(
    predictor: Predictor,
    frames: Iterable[TimedFrame],
    sliding: SlidingWindow,
    batch_size: int = 1,
) -> Iterator[WindowScores]:
    """Scores a window that slides over frames, each by itself; see `stream_video`.

    Raises:
        ValueError: if `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")

    def scored() -> Iterator[WindowScores]:
        for batch in _batches(_windows(frames, sliding), batch_size):
            probabilities = predictor.probabilities(np.concatenate([w.clips for w in batch]))
            yield from map(window_scores, batch, np.split(probabilities, len(batch)))

    return scored()


def window_scores(window: Window, probabilities: np.ndarray) -> WindowScores:
    """Joins a window's times with the probabilities of its crops, (crops, classes)."""
    mean = probabilities.mean(axis=0, dtype=np.float32)
    return WindowScores(window.first_frame, window.start, window.end, mean)


def _frames(video: str | os.PathLike[str] | VideoReader) -> Iterator[TimedFrame]:
    if isinstance(video, VideoReader):
        yield from video.timed()
        return
    with VideoReader(video) as reader:
        yield from reader.timed()


def _windows(frames: Iterable[TimedFrame], sliding: SlidingWindow) -> Iterator[Window]:
    for frame in frames:
        window = sliding.push(frame)
        if window is not None:
            yield window
    last = sliding.rest()
    if last is not None:
        yield last


def _batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    batch: list[Window] = []
    for window in windows:
        batch.append(window)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch
