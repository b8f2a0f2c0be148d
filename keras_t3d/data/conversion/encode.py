"""Encodes the frames of a video as JPEG, in the parts that become its records."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_t3d.clips import resize_short_side
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.shards.record import EncodedVideo
from keras_t3d.data.video.frames import SAME_TIME, TimedFrame, mean_fps

_SHORTEST_FRAME = 1e-3  # seconds


def encode_parts(
    frames: Iterable[TimedFrame], stated_fps: float, options: ConversionOptions
) -> Iterator[EncodedVideo]:
    """Encodes frames as JPEG, one at a time, in parts that become one record each.

    Frames larger than `short_side` shrink as the view shrinks them; smaller ones keep their
    size. A video longer than `max_seconds` is cut into parts of this length; the last
    two share the remainder, so that none is shorter than half of it. At most two parts are held
    in memory. A frame counts for a thirtieth of `max_seconds` or 0.2 s at most, so that a time
    lapse is not cut into single frames, and for a millisecond at least, should its time stand
    still.

    Args:
        frames: frames of one size, in order.
        stated_fps: frames per second by the header; 0.0 if unknown.
        options: ConversionOptions.

    Yields:
        EncodedVideos, in order; a single one unless the video is longer than `max_seconds`.
    """
    longest = options.max_seconds
    longest_frame = max(longest / 30, 0.2)
    held: list[_EncodedFrame] = []
    place = begin = 0.0  # of the next frame and the first held one, in seconds that count
    for frame in frames:
        if place >= begin + 2 * longest - SAME_TIME:
            begin += longest
            part, held = _cut(held, begin)
            yield _video(part, stated_fps)
        pixels = _shrunk(frame.pixels, options.short_side)
        content = _jpeg(Image.fromarray(pixels), options.jpeg_quality)
        held.append(_EncodedFrame(place, frame.start, content, *pixels.shape[:2]))
        place += min(max(frame.end - frame.start, _SHORTEST_FRAME), longest_frame)
    parts = max(math.ceil((place - begin - SAME_TIME) / longest), 1)
    for number in range(1, parts):
        part, held = _cut(held, begin + number * (place - begin) / parts)
        yield _video(part, stated_fps)
    yield _video(held, stated_fps)


class _EncodedFrame(NamedTuple):
    place: float  # seconds that count for the length of a part
    time: float  # seconds
    content: bytes
    height: int
    width: int


def _cut(
    frames: list[_EncodedFrame], place: float
) -> tuple[list[_EncodedFrame], list[_EncodedFrame]]:
    """Returns the frames before a place and those from there on."""
    count = sum(frame.place < place - SAME_TIME for frame in frames)
    return frames[:count], frames[count:]


def _video(frames: Sequence[_EncodedFrame], stated_fps: float) -> EncodedVideo:
    first, last = frames[0], frames[-1]
    return EncodedVideo(
        frames=tuple(frame.content for frame in frames),
        height=first.height,
        width=first.width,
        fps=mean_fps(len(frames), last.time - first.time, stated_fps),
        times=tuple(round(1e6 * frame.time) for frame in frames),
    )


def _shrunk(pixels: np.ndarray, short_side: int) -> np.ndarray:
    is_large = min(pixels.shape[:2]) > short_side
    return resize_short_side(pixels, short_side) if is_large else pixels


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # Optimized Huffman tables: 5 % smaller, the same pixels. Colours at full resolution: 15 %
    # larger, and a network's probabilities differ a fifth as much from those on the video itself.
    image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling="4:4:4")
    return buffer.getvalue()
