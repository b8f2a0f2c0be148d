"""Predictions for windows that slide over a video of any length."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import SlidingWindow, Window
from keras_t3d.inference.step_windows import predictor_and_windows
from keras_t3d.inference.window_prediction import WindowPrediction, start_smoothing


def stream_video(
    model: Any,
    video: str | os.PathLike[str] | VideoReader,
    options: WindowOptions | None = None,
) -> Iterator[WindowPrediction]:
    """Predicts the classes of windows that slide over a video.

    A window holds the frames of one clip of the model. The video is decoded once, and memory
    does not grow with its length: only the frames of one window are held, each resized once. The
    last window ends with the video; a video shorter than a window loops.

    Of a model that was exported with `streaming`, the windows are the steps, with answers about
    what was seen so far. So are those of a causal Keras model, with answers about as many steps as
    a clip has, unless `options` have a hop or several crops.

    Args:
        model: as for `predict_video`.
        video: path of the video, or an open VideoReader, whose `damage` tells afterwards whether
            frames are missing.
        options: where windows start and how they are scored; None for the defaults.

    Returns:
        Iterator of WindowPredictions, in order of time.

    Raises:
        InvalidArgumentError: if the model cannot be loaded.
        VideoError: when the first window is requested, if the video cannot be read.

    Example:

    ```python
    predictor = load_predictor("t3d.tflite")
    for window in stream_video(predictor, "film.mp4", WindowOptions(hop=1.0)):
        best = predictor.class_names[window.probabilities.argmax()]
        print(f"{window.start:.2f} to {window.end:.2f} s: {best}")
    ```
    """
    options = options or WindowOptions()
    predictor = load_predictor(model)
    predictor, sliding_window = predictor_and_windows(predictor, options)
    windows = predict_windows(predictor, _frames(video), sliding_window, options.batch_size)
    smooth = start_smoothing(options.smoothing)
    # A generator, which refuses to run in two threads at once, where `map` would mix up windows.
    return (smooth(window) for window in windows)


def predict_windows(
    predictor: Predictor,
    frames: Iterable[TimedFrame],
    sliding_window: SlidingWindow,
    batch_size: int,
) -> Iterator[WindowPrediction]:
    """Predicts the windows over frames, without smoothing; see `stream_video`."""
    for batch in _batches(_windows(frames, sliding_window), batch_size):
        probabilities = predictor.probabilities(np.concatenate([w.clips for w in batch]))
        yield from map(WindowPrediction.from_crops, batch, np.split(probabilities, len(batch)))


def _frames(video: str | os.PathLike[str] | VideoReader) -> Iterator[TimedFrame]:
    if isinstance(video, VideoReader):
        yield from video.timed()
        return
    with VideoReader(video) as reader:
        yield from reader.timed()


def _windows(frames: Iterable[TimedFrame], sliding_window: SlidingWindow) -> Iterator[Window]:
    for frame in frames:
        yield from sliding_window.push(frame)
    last = sliding_window.finish()
    if last is not None:
        yield last


def _batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    remaining = iter(windows)
    while batch := list(itertools.islice(remaining, batch_size)):
        yield batch
