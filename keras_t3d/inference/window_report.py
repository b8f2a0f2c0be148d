"""One video, window by window: each is told as it comes, and at the end all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.data.video.reader import VideoReader
from keras_t3d.inference.hops import new_hop
from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import SlidingWindow
from keras_t3d.inference.smoothing import Smoothing, smoothed_scores
from keras_t3d.inference.stream import WindowScores, scored_windows
from keras_t3d.inference.top_classes import top_classes


@dataclasses.dataclass(frozen=True)
class WindowReport:
    """What the windows of a video say together.

    Attributes:
        windows: int. How many were scored: 0 only where it was stopped before the first.
        classes: (class name, probability) pairs of the mean over windows, most probable first.
        until: float. Seconds at which the last of them ends.
        unscored: float. Seconds before that which lie between windows, frames that the
            stride passes over apart.
        stopped: bool. Whether it was stopped before the video ended.
    """

    windows: int
    classes: tuple[tuple[str, float], ...]
    until: float
    unscored: float
    stopped: bool


def report_windows(
    predictor: Predictor,
    video: VideoReader,
    tell: Callable[[WindowScores], None],
    *,
    top: int = 5,
    hop_seconds: float | None = None,
    smoothing: Smoothing | None = None,
    batch_size: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> WindowReport:
    """Scores the windows of a video and tells each as it comes.

    Args:
        predictor: Predictor.
        video: open VideoReader, whose `damage` says afterwards whether frames are missing.
        tell: called with each window's scores, smoothed where a rule is given.
        top: int. How many classes to name of all windows together. Defaults to `5`.
        hop_seconds, smoothing, batch_size: as for `stream_video`. The mean over windows is
            that of the scores themselves: smoothing would count the first ones most.
        stopped: asked after every frame whether to end. Windows that are not scored by then
            are left out.

    Returns:
        A WindowReport.

    Raises:
        ValueError: as `stream_video`.

    Example:

    ```python
    with VideoReader("film.mp4") as film, window_file("windows.csv") as write:
        names = predictor.class_names
        report = report_windows(
            predictor, film, lambda scores: write(window_record("film.mp4", scores, names, 5))
        )
    print(report.classes[0])
    ```
    """
    spec, names = predictor.clip_spec, predictor.class_names
    sliding = SlidingWindow(spec, new_hop(spec, None, hop_seconds))
    frames = _until_stopped(video.timed(), stopped)
    smooth = smoothed_scores(smoothing)
    count, total, until, unscored, was_stopped = 0, np.zeros(len(names)), 0.0, 0.0, False
    next_frame = 0  # the first that no window has taken, of those that clips take
    try:
        for scores in scored_windows(predictor, frames, sliding, batch_size):
            if scores.first_frame > next_frame:
                unscored += scores.start - until
            next_frame = scores.first_frame + spec.span - 1 + spec.frame_stride
            count, total, until = count + 1, total + scores.probabilities, scores.end
            tell(smooth(scores))
    except _StoppedError:
        was_stopped = True
    classes = tuple(top_classes(total / count, names, top)) if count else ()
    return WindowReport(count, classes, until, unscored, was_stopped)


class _StoppedError(Exception):
    """Ends the decoding; unlike the end of the frames, it makes no last window of them."""


def _until_stopped(
    frames: Iterator[TimedFrame], stopped: Callable[[], bool]
) -> Iterator[TimedFrame]:
    for frame in frames:
        if stopped():
            raise _StoppedError
        yield frame
