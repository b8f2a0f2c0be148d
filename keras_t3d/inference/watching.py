"""Draws the classes over the frames of a video or camera while it plays."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.errors import check_integer
from keras_t3d.fonts import find_fonts, warn_of_missing_characters
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.overlay import draw_classes, to_square_pixels
from keras_t3d.inference.predictor import top_classes
from keras_t3d.inference.screen import Screen
from keras_t3d.inference.step_windows import (
    StepContinuity,
    most_waiting,
    predictor_and_windows,
)
from keras_t3d.inference.video_writer import RecordingError, open_video_writer
from keras_t3d.inference.window_prediction import (
    BackgroundWindowPredictor,
    WindowPrediction,
    WindowPredictor,
    start_prediction,
)


class FrameSource(Protocol):
    """A source of frames: a VideoReader, a Camera, or any class with this method."""

    def timed(self) -> Iterator[TimedFrame]:
        """Yields frames with their times, in order."""
        ...


@dataclasses.dataclass(frozen=True)
class WatchedFrame:
    """A frame with the classes predicted so far drawn over it.

    Attributes:
        start: seconds at which it appears.
        end: seconds at which the next frame replaces it.
        pixels: uint8 array (height, width, 3), RGB, with the classes drawn; stretched to square
            pixels if the video is anamorphic.
        prediction: prediction of the latest window; None before the first.
        classes: (class name, probability) pairs, most probable first.
    """

    start: float
    end: float
    pixels: np.ndarray
    prediction: WindowPrediction | None
    classes: tuple[tuple[str, float], ...]


def watch_frames(
    model: Any,
    source: FrameSource,
    *,
    top: int = 3,
    options: WindowOptions | None = None,
    live: bool = False,
) -> Iterator[WatchedFrame]:
    """Yields every frame of a video with the current top classes drawn over it.

    The classes of a frame are those of the latest window that ends there or before; there are
    none until the first window is complete. The windows are those of `stream_video`: the last one
    ends with the video, and a video shorter than a window loops.

    Args:
        model: as for `predict_video`.
        source: VideoReader, Camera, or any object with their method `timed`.
        top: how many classes to draw.
        options: see WindowOptions; None for the defaults. One window is predicted at a time,
            whatever the batch size.
        live: whether the source does not wait, as a camera. Windows are then predicted in the
            background, windows that the model cannot keep up with are dropped, and no window is
            made for the end. As many steps of a stream as a clip has may wait; it starts again
            after dropped ones.

    Returns:
        Iterator of WatchedFrames.

    Raises:
        InvalidArgumentError: if `top` is out of its range or the model cannot be loaded.
        VideoError: while iterating, if the source cannot be read.

    Example:

    ```python
    with keras_t3d.data.VideoReader("film.mp4") as film:
        for frame in watch_frames("t3d.tflite", film):
            print(frame.start, frame.classes)
    ```
    """
    check_integer("top", top, 1, 5)
    options = options or WindowOptions()
    predictor = load_predictor(model)
    names = predictor.class_names
    fonts = find_fonts(names)
    warn_of_missing_characters(names, fonts)
    predictor, sliding_window = predictor_and_windows(predictor, options)

    def annotate() -> Iterator[WatchedFrame]:
        continuity = StepContinuity(predictor)
        predict = start_prediction(predictor, options.smoothing, continuity)
        windows = (
            BackgroundWindowPredictor(predict, most_waiting(predictor))
            if live
            else WindowPredictor(predict)
        )
        frames = source.timed()
        # Marking the last frame needs the next one, and a camera's must be shown at once.
        marked = ((frame, False) for frame in frames) if live else _mark_last(frames)
        with contextlib.closing(windows):
            for frame, is_last in marked:
                complete = sliding_window.push(frame)
                last = sliding_window.finish() if is_last else None
                for window in [*complete, *([last] if last else [])]:
                    windows.submit(window)
                latest = windows.latest()
                classes = tuple(top_classes(latest.probabilities, names, top) if latest else ())
                picture = to_square_pixels(frame.pixels, frame.pixel_aspect)
                pixels = draw_classes(picture, classes, fonts)
                yield WatchedFrame(frame.start, frame.end, pixels, latest, classes)

    return annotate()


def watch(
    frames: Iterable[WatchedFrame],
    *,
    out: str | os.PathLike[str] | None = None,
    screen: Screen | None = None,
    on_prediction: Callable[[WatchedFrame], None] = lambda frame: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Shows frames, writes them to an mp4 file, and reports new predictions.

    The file is complete and playable however the frames end: with the video, by the user, with
    an error of the camera or the model, or on a full disk.

    Args:
        frames: frames of `watch_frames`, which are closed at the end.
        out: path of the mp4 file; None writes none.
        screen: Screen to show the frames on; None shows none.
        on_prediction: called with each frame that has a new prediction.
        should_stop: called after every frame; True ends it.

    Returns:
        Number of frames.

    Raises:
        InvalidArgumentError: if `out` is not the path of an mp4 file.
        RecordingError: if `out` cannot be written.

    Example:

    ```python
    with keras_t3d.data.VideoReader("film.mp4") as film:
        watch(watch_frames("t3d.tflite", film), out="annotated.mp4")
    ```
    """
    count, latest, failure = 0, None, None
    with contextlib.ExitStack() as stack:
        # Runs after the file is complete, and raises an error of the background thread.
        stack.callback(getattr(frames, "close", lambda: None))
        writer = stack.enter_context(open_video_writer(out)) if out is not None else None
        try:
            for frame in frames:
                if frame.prediction is not latest:
                    latest = frame.prediction
                    on_prediction(frame)
                if writer is not None:
                    writer.write(frame.pixels, frame.start, frame.end)
                count += 1
                if (screen and not screen.show(frame.pixels, frame.start)) or should_stop():
                    break
        except RecordingError:
            raise  # `open_video_writer` keeps the playable part
        except Exception as error:
            if count == 0:
                raise
            failure = error
    if failure:
        raise failure
    return count


def _mark_last(frames: Iterator[TimedFrame]) -> Iterator[tuple[TimedFrame, bool]]:
    """Yields each frame, and whether it is the last; then raises the error that ended them."""
    previous: TimedFrame | None = None
    failure: Exception | None = None
    while True:
        try:
            frame = next(frames, None)
        except Exception as error:
            frame, failure = None, error
        if previous is not None:
            yield previous, frame is None
        if frame is None:
            break
        previous = frame
    if failure:
        raise failure
