"""A video or a camera with its running classes over the picture."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from keras_t3d.data.video import TimedFrame, VideoError
from keras_t3d.inference.annotated_video import annotated_video
from keras_t3d.inference.caption import captioned
from keras_t3d.inference.hops import new_hop
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.running_scores import EveryWindow, NewestWindow, RunningScores
from keras_t3d.inference.screen import Screen
from keras_t3d.inference.sliding_window import SlidingWindow
from keras_t3d.inference.smoothing import Smoothing
from keras_t3d.inference.stream import WindowScores
from keras_t3d.inference.top_classes import check_top, top_classes


class FrameSource(Protocol):
    """What can be watched: a VideoReader, a Camera, or the like."""

    def timed(self) -> Iterator[TimedFrame]:
        """Gives the frames with their times, in order."""
        ...


@dataclasses.dataclass(frozen=True)
class WatchedFrame:
    """A frame with what is known of the video when it is shown.

    Attributes:
        start: float. Seconds at which it appears.
        end: float. Seconds at which it gives way.
        pixels: uint8 array of shape (height, width, 3), RGB, the classes written into it.
        scores: WindowScores of the newest window, or None where none is known yet.
        classes: (class name, probability) pairs, most probable first.
    """

    start: float
    end: float
    pixels: np.ndarray
    scores: WindowScores | None
    classes: tuple[tuple[str, float], ...]


def watch_frames(
    model: Any,
    source: FrameSource,
    *,
    top: int = 3,
    hop_seconds: float | None = None,
    smoothing: Smoothing | None = None,
    live: bool = False,
) -> Iterator[WatchedFrame]:
    """Gives every frame of a video with the running top classes written over it.

    What stands on a frame was scored on the window that ends there or before. Until the
    first window is full, the frames so far loop, as a video shorter than a window does.

    Args:
        model: as for `predict_video`.
        source: VideoReader, Camera, or what has their `timed()`.
        top: int. How many classes to name. Defaults to `3`.
        hop_seconds: float. Seconds from the beginning of a window to that of the next.
            Defaults to `None`: half a window.
        smoothing: MeanOfLast, Exponential or None, as for `stream_video`.
        live: bool. Whether frames come when they come: then windows are scored in the
            background, and those left out that the model cannot keep up with.
            Defaults to `False`.

    Returns:
        Iterator of WatchedFrames.

    Raises:
        ValueError: as `stream_video`.

    Example:

    ```python
    with VideoReader("film.mp4") as film:
        for frame in watch_frames("t3d.tflite", film):
            print(frame.start, frame.classes)
    ```
    """
    check_top(top)
    predictor = load_predictor(model)
    spec = predictor.clip_spec
    sliding = SlidingWindow(spec, new_hop(spec, None, hop_seconds))

    def watched() -> Iterator[WatchedFrame]:
        running: RunningScores = (NewestWindow if live else EveryWindow)(predictor, smoothing)
        with contextlib.closing(running):
            for frame in source.timed():
                window = sliding.push(frame) or sliding.opening()
                if window is not None:
                    running.offer(window)
                scores = running.newest()
                names = predictor.class_names
                known = top_classes(scores.probabilities, names, top) if scores else ()
                pixels = captioned(frame.pixels, tuple(known))
                yield WatchedFrame(frame.start, frame.end, pixels, scores, tuple(known))

    return watched()


def watch(
    frames: Iterator[WatchedFrame],
    *,
    out: str | os.PathLike[str] | None = None,
    screen: Screen | None = None,
    tell: Callable[[WatchedFrame], None] = lambda frame: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Shows frames, writes them to an mp4 file, and tells what is seen.

    The file is playable however the frames end: with the video, by the user, or because a
    camera is pulled out.

    Args:
        frames: iterator of `watch_frames`.
        out: path of the mp4 file; None writes none. Defaults to `None`.
        screen: Screen or None. Defaults to `None`.
        tell: called with the frames that bring new scores.
        stopped: asked after every frame whether to end.

    Returns:
        How many frames there were.

    Raises:
        ValueError: if `out` is no path of an mp4 file, or what `frames` raises.
        OSError: if `out` cannot be written.

    Example:

    ```python
    with VideoReader("film.mp4") as film:
        watch(watch_frames("t3d.tflite", film), out="annotated.mp4")
    ```
    """
    count, told, failure = 0, None, None
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(annotated_video(out)) if out is not None else None
        try:
            for frame in frames:
                if frame.scores is not told:
                    told = frame.scores
                    tell(frame)
                if file is not None:
                    file.write(frame.pixels, frame.start, frame.end)
                count += 1
                if (screen and not screen.show(frame.pixels, frame.start)) or stopped():
                    break
        except VideoError as error:
            if count == 0:
                raise
            failure = error
    if failure:
        raise failure
    return count


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Makes Ctrl-C, and a request to terminate, end the work after the frame at hand.

    Raised in the midst of a frame, they would leave a file with a hole. A second one
    interrupts at once. Outside the main thread, which alone gets signals, nothing changes.

    Yields:
        Function that says whether one came.
    """
    asked = threading.Event()

    def ask(number: int, at: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
