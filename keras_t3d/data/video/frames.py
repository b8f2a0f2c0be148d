"""Decoded frames: their pixels, and the times at which players show them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
import numpy as np

from keras_t3d.data.video.decoding import reason
from keras_t3d.data.video.errors import VideoError

USUAL_FPS = 25.0  # assumed where a file does not state its frame rate
SAME_TIME = 1e-4  # seconds: times are stored as fractions
_WIDEST_PIXEL = 4  # times its height; headers that state more are wrong
_JUMP = 1.0  # seconds; a larger step back starts a new recording, as in joined files


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


def frame_pixels(frame: av.VideoFrame, size: tuple[int, int], source: str) -> np.ndarray:
    """Converts a decoded frame to a uint8 RGB array (height, width, 3), upright.

    Args:
        frame: decoded frame.
        size: width and height, in pixels, to scale the frame to before it is rotated.
        source: name of the video, for the error message.

    Raises:
        VideoError: if the frame cannot be converted to RGB.
    """
    try:
        pixels = frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"Cannot convert a frame to RGB ({reason(error)}): {source}") from None
    quarter_turns = round(frame.rotation / 90) % 4  # of the camera, counter-clockwise
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def pixel_aspect(stream: Any, frame: av.VideoFrame) -> float:
    """Returns the width of a pixel divided by its height, after rotation; 1.0 if unknown.

    Args:
        stream: the video stream.
        frame: one of its frames, which holds the rotation.
    """
    ratio = stream.sample_aspect_ratio
    if not ratio or not 1 / _WIDEST_PIXEL <= ratio <= _WIDEST_PIXEL:
        return 1.0
    return float(1 / ratio if round(frame.rotation / 90) % 2 else ratio)


def shown_times(
    frames: Iterable[av.VideoFrame],
    origin: float,
    fps: float,
    promised_end: Callable[[], float | None] = lambda: None,
) -> Iterator[tuple[float, float, av.VideoFrame]]:
    """Yields decoded frames with the seconds at which each appears and is replaced.

    A frame is yielded once the next one is decoded, because the durations stored with frames
    are unreliable. A frame without a timestamp follows the previous one after `1 / fps` seconds.
    Where timestamps step back by more than a second, as in joined recordings, the times
    continue from the last frame.

    Args:
        frames: decoded frames in display order.
        origin: timestamp of the first frame in the file, in seconds.
        fps: nominal frames per second; 0.0, unknown, counts as 25.
        promised_end: called after the last frame; returns the seconds at which the header ends
            it, or None to use the duration stored with the frame.

    Yields:
        (start, end, frame).
    """
    gap = 1 / (fps or USUAL_FPS)
    before, start, shift = None, 0.0, -origin
    for frame in frames:
        time = start + gap if frame.time is None else frame.time + shift
        if before is None:
            shift -= min(time, 0.0)
            start = 0.0 if frame.time is None else max(time, 0.0)
        else:
            if time < start - _JUMP:
                shift += start + gap - time
                time = start + gap
            yield start, max(time, start), before
            start = max(time, start)
        before = frame
    if before is not None:
        length = float((before.duration or 0) * before.time_base) if before.time_base else 0.0
        end = promised_end()
        yield start, end if end and end > start else start + (length or gap), before
