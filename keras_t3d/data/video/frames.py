"""Decoded frames: their pixels, and the times at which players show them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
import numpy as np

from keras_t3d.data.video.orientation import is_turned

USUAL_FPS = 25.0  # assumed where a file does not state its frame rate
SAME_TIME = 1e-4  # seconds: times are stored as fractions
_WIDEST_PIXEL = 4  # times its height; headers that state more are wrong
STEP_BACK = 1.0  # seconds; a larger one starts a new recording, as in joined files


@dataclasses.dataclass(frozen=True)
class TimedFrame:
    """A decoded frame and the time during which it is shown.

    The frame is converted to pixels when `pixels` is first read.

    Attributes:
        start: seconds from the start of playback at which the frame appears.
        end: seconds at which the next frame replaces it.
        pixel_aspect: width of a pixel divided by its height, after rotation; 1.0 for square
            pixels.
    """

    start: float
    end: float
    convert: Callable[[], np.ndarray] = dataclasses.field(repr=False)
    pixel_aspect: float = 1.0

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """uint8 array of shape (height, width, 3), RGB, upright."""
        return self.convert()


def pixel_aspect(stream: Any, frame: av.VideoFrame) -> float:
    """Returns the width of a pixel divided by its height, after rotation; 1.0 if unknown.

    Args:
        stream: the video stream.
        frame: one of its frames, which holds the display matrix.
    """
    ratio = stream.sample_aspect_ratio
    if not ratio or not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        return 1.0
    return float(1 / ratio if is_turned(frame) else ratio)


def presentation_times(
    frames: Iterable[av.VideoFrame], origin: float, gap: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields decoded frames with the seconds at which they appear, which never decrease.

    Where timestamps step back by more than a second, as in joined recordings, the times continue
    from the last frame.

    Args:
        frames: decoded frames in display order.
        origin: timestamp of the first frame in the file, in seconds.
        gap: seconds between a frame and the next one, if that has no timestamp.

    Yields:
        (seconds, frame).
    """
    before, shift = None, -origin
    for frame in frames:
        time = (before or 0.0) + gap if frame.time is None else frame.time + shift
        if before is None:
            shift -= min(time, 0.0)
            time = 0.0 if frame.time is None else max(time, 0.0)
        elif time < before - STEP_BACK:
            shift += before + gap - time
            time = before + gap
        before = time if before is None else max(time, before)
        yield before, frame


def with_time_of_first(
    frames: Iterator[av.VideoFrame],
) -> tuple[float, Iterator[av.VideoFrame]]:
    """Returns the timestamp of the first frame, in seconds, and all frames; 0.0 without one."""
    first = list(itertools.islice(frames, 1))
    time = first[0].time if first else None
    return time or 0.0, itertools.chain(first, frames)


def counted_times(
    frames: Iterable[av.VideoFrame], gap: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields decoded frames `gap` seconds apart, for files that state no times."""
    return ((number * gap, frame) for number, frame in enumerate(frames))


def shown_times(
    timed: Iterable[tuple[float, av.VideoFrame]],
    gap: float,
    promised_end: Callable[[], float | None] = lambda: None,
) -> Iterator[tuple[float, float, av.VideoFrame]]:
    """Yields frames with the seconds at which each appears and is replaced.

    A frame is yielded once the next one is decoded, because the durations stored with frames
    are unreliable.

    Args:
        timed: what `presentation_times` yields.
        gap: seconds that the last frame is shown, if nothing states them.
        promised_end: called after the last frame; returns the seconds at which the header ends
            it, or None to use the duration stored with the frame.

    Yields:
        (start, end, frame).
    """
    before = None
    for time, frame in timed:
        if before is not None:
            yield before[0], time, before[1]
        before = time, frame
    if before is not None:
        start, frame = before
        length = float((frame.duration or 0) * frame.time_base) if frame.time_base else 0.0
        end = promised_end()
        yield start, end if end and end > start else start + (length or gap), frame


def mean_fps(num_frames: int, seconds: float, stated: float) -> float:
    """Returns the mean frame rate of frames whose times are known.

    Args:
        num_frames: number of frames.
        seconds: time from the first one to the last one.
        stated: frames per second by the header; 0.0 if unknown. It is taken if it is right to
            within a frame, as times are rounded.

    Returns:
        Frames per second; `stated` for a single frame.
    """
    gaps = num_frames - 1
    if gaps < 1 or seconds <= 0 or abs(stated * seconds - gaps) <= 1:
        return stated
    return gaps / seconds
