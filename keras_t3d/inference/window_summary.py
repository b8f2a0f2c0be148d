"""Predicts the windows of a video, and averages them at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.inference.options import WindowOptions
from keras_t3d.inference.predictor import Predictor, top_classes
from keras_t3d.inference.step_windows import predictor_and_windows
from keras_t3d.inference.stream import predict_windows
from keras_t3d.inference.window_prediction import WindowPrediction, start_smoothing


@dataclasses.dataclass(frozen=True)
class WindowSummary:
    """The windows of a video taken together.

    Attributes:
        num_windows: number of windows predicted; 0 if stopped before the first.
        classes: (class name, probability) pairs of the mean over windows, most probable first.
        end: seconds at which the last window ends.
        gap_seconds: seconds between windows that are in no window.
        stopped: whether `should_stop` ended it before the video did.
    """

    num_windows: int
    classes: tuple[tuple[str, float], ...]
    end: float
    gap_seconds: float
    stopped: bool


def summarize_windows(
    predictor: Predictor,
    video: VideoReader,
    on_window: Callable[[WindowPrediction], None],
    *,
    top: int = 5,
    options: WindowOptions | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> WindowSummary:
    """Predicts the windows of a video, reports each, and averages them.

    Args:
        predictor: see `load_predictor`.
        video: open VideoReader, whose `damage` tells afterwards whether frames are missing.
        on_window: called with each window's prediction, smoothed as `options` say.
        top: how many classes of the mean to return.
        options: see WindowOptions; None for the defaults. The mean is over predictions before
            smoothing, which would give the first windows more weight.
        should_stop: called after every frame; True ends the work, without the windows that
            have not been predicted.

    Returns:
        A WindowSummary.

    Raises:
        VideoError: if the video cannot be read.

    Example:

    ```python
    predictor = load_predictor("t3d.tflite")
    with keras_t3d.data.VideoReader("film.mp4") as film:
        summary = summarize_windows(predictor, film, print)
    print(summary.classes[0])
    ```
    """
    options = options or WindowOptions()
    predictor, sliding_window = predictor_and_windows(predictor, options)
    clip_spec, names = predictor.clip_spec, predictor.class_names
    frames = _until(should_stop, video.timed())
    smooth = start_smoothing(options.smoothing)
    count, total, end, gaps, stopped = 0, np.zeros(len(names)), 0.0, 0.0, False
    next_frame = 0  # first frame, of those that clips read, that is in no window yet
    try:
        for window in predict_windows(predictor, frames, sliding_window, options.batch_size):
            if window.first_frame > next_frame:
                gaps += window.start - end
            next_frame = window.first_frame + clip_spec.span - 1 + clip_spec.frame_stride
            count, total, end = count + 1, total + window.probabilities, window.end
            on_window(smooth(window))
    except _Stopped:
        stopped = True
    classes = tuple(top_classes(total / count, names, top)) if count else ()
    return WindowSummary(count, classes, end, gaps, stopped)


class _Stopped(Exception):  # noqa: N818  not an error
    """Ends decoding. If the frames just ended, they would be taken for the end of the video."""


def _until(should_stop: Callable[[], bool], frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    for frame in frames:
        if should_stop():
            raise _Stopped
        yield frame
