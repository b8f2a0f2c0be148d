"""A video or a camera with its running classes over the picture."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from keras_t3d.data.video.frames import TimedFrame
from keras_t3d.inference.annotated_video import RecordingError, annotated_video
from keras_t3d.inference.caption import captioned
from keras_t3d.inference.hops import new_hop
from keras_t3d.inference.load import load_predictor
from keras_t3d.inference.running_scores import EveryWindow, NextWhenIdle, RunningScores
from keras_t3d.inference.screen import Screen
from keras_t3d.inference.sliding_window import SlidingWindow
from keras_t3d.inference.smoothing import Smoothing
from keras_t3d.inference.square_pixels import square_pixels
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
        pixels: uint8 array of shape (height, width, 3), RGB, the classes written into it;
            those of an anamorphic video made square.
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

    What stands on a frame was scored on the window that ends there or before, so nothing
    stands there until the first window is full. The windows are those of `stream_video`: the
    last ends with the video, and a video shorter than a window loops, once it is over.

    Args:
        model: as for `predict_video`.
        source: VideoReader, Camera, or what has their `timed()`.
        top: int. How many classes to name. Defaults to `3`.
        hop_seconds: float. Seconds from the beginning of a window to that of the next.
            Defaults to `None`: half a window.
        smoothing: MeanOfLast, Exponential or None, as for `stream_video`.
        live: bool. Whether frames come when they come: then windows are scored in the
            background, those left out that the model cannot keep up with, and no window is
            made for the end. Defaults to `False`.

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
        running: RunningScores = (NextWhenIdle if live else EveryWindow)(predictor, smoothing)
        frames = source.timed()
        # Which one is the last is known when the next is there: a camera does not wait for it.
        marked = ((frame, False) for frame in frames) if live else _last_marked(frames)
        with contextlib.closing(running):
            for frame, is_last in marked:
                window = sliding.push(frame) or (sliding.rest() if is_last else None)
                if window is not None:
                    running.offer(window)
                scores = running.newest()
                names = predictor.class_names
                known = top_classes(scores.probabilities, names, top) if scores else ()
                picture = square_pixels(frame.pixels, frame.pixel_aspect)
                pixels = captioned(picture, tuple(known))
                yield WatchedFrame(frame.start, frame.end, pixels, scores, tuple(known))

    return watched()


def watch(
    frames: Iterable[WatchedFrame],
    *,
    out: str | os.PathLike[str] | None = None,
    screen: Screen | None = None,
    tell: Callable[[WatchedFrame], None] = lambda frame: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Shows frames, writes them to an mp4 file, and tells what is seen.

    The file is there and playable however the frames end: with the video, by the user,
    because a camera is pulled out, the model fails or the disk is full.

    Args:
        frames: what `watch_frames` gives; closed at the end.
        out: path of the mp4 file; None writes none. Defaults to `None`.
        screen: Screen or None. Defaults to `None`.
        tell: called with the frames that bring new scores.
        stopped: asked after every frame whether to end.

    Returns:
        How many frames there were.

    Raises:
        ValueError: if `out` is no path of an mp4 file, or what `frames` raises.
        OSError: if `out` cannot be written, or what `tell` raises.

    Example:

    ```python
    with VideoReader("film.mp4") as film:
        watch(watch_frames("t3d.tflite", film), out="annotated.mp4")
    ```
    """
    count, told, failure = 0, None, None
    with contextlib.ExitStack() as stack:
        # After the file is whole: what fails in the background is heard of here.
        stack.callback(getattr(frames, "close", lambda: None))
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
        except RecordingError:
            raise  # `annotated_video` keeps what it can
        except Exception as error:
            if count == 0:
                raise
            failure = error
    if failure:
        raise failure
    return count


def _last_marked(frames: Iterator[TimedFrame]) -> Iterator[tuple[TimedFrame, bool]]:
    """Gives each frame, and whether it is the last."""
    before: TimedFrame | None = None
    failure: Exception | None = None
    while True:
        try:
            frame = next(frames, None)
        except Exception as error:
            frame, failure = None, error
        if before is not None:
            yield before, frame is None
        if frame is None:
            break
        before = frame
    if failure:
        raise failure
