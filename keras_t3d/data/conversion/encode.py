"""Encodes the frames of a video as JPEG, in the parts that become its records."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from keras_t3d.clips import resized_size
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.shards.record import EncodedVideo
from keras_t3d.data.video.frames import USUAL_FPS


def encode_parts(
    frames: Iterable[np.ndarray], fps: float, options: ConversionOptions
) -> Iterator[EncodedVideo]:
    """Encodes frames as JPEG, one at a time, in parts that become one record each.

    Frames larger than `short_side` shrink, with a filter like that of the view; smaller ones
    keep their size. A video longer than `max_seconds` is cut into parts of this length; the last
    two share the remainder, so that none is shorter than half of it. At most two parts are held
    in memory.

    Args:
        frames: uint8 arrays (height, width, 3), all of one size.
        fps: frames per second; 0.0, unknown, counts as 25.
        options: size and quality of the frames, length of the parts.

    Yields:
        EncodedVideos, in order; a single one unless the video is longer than `max_seconds`.
    """
    longest = max(int(options.max_seconds * (fps or USUAL_FPS)), 1)  # frames
    held: list[bytes] = []
    height = width = 0
    for frame in frames:
        image = _shrunk(Image.fromarray(frame), options.short_side)
        width, height = image.size
        if len(held) == 2 * longest:
            yield EncodedVideo(tuple(held[:longest]), height, width, fps)
            del held[:longest]
        held.append(_jpeg(image, options.jpeg_quality))
    parts = -(-len(held) // longest)
    for part in range(parts):
        first, last = part * len(held) // parts, (part + 1) * len(held) // parts
        yield EncodedVideo(tuple(held[first:last]), height, width, fps)


def _shrunk(image: Image.Image, short_side: int) -> Image.Image:
    if min(image.size) <= short_side:
        return image
    height, width = resized_size(image.height, image.width, short_side)
    # An antialiased triangle filter, many times faster than `resize_frames`, whose exact bytes
    # JPEG would not keep.
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # Optimized Huffman tables: 5 % smaller, the same pixels.
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
