"""One video to the JPEG frames of its records."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from keras_t3d.clips import resized_size
from keras_t3d.data.shards.record import EncodedVideo

_USUAL_FPS = 25.0  # of files that do not say theirs


def encode_parts(
    frames: Iterable[np.ndarray],
    fps: float,
    short_side: int = 128,
    jpeg_quality: int = 90,
    max_seconds: float = 30.0,
) -> Iterator[EncodedVideo]:
    """Encodes frames as JPEG, one at a time, in parts that make one record each.

    Frames larger than `short_side` are shrunk, by the same filter as in the view
    function; smaller ones stay as they are. A video longer than `max_seconds` is cut into
    parts of that length; the last two share what is left, so that none is shorter
    than half of it. No more than two parts are held in memory.

    Args:
        frames: uint8 arrays (height, width, 3), all of one size.
        fps: float. Frames per second; 0.0, unknown, counts as 25.
        short_side: int. Largest length of a frame's short side, in pixels.
            Defaults to `128`.
        jpeg_quality: int, 1 to 100. Defaults to `90`.
        max_seconds: float. Length of the longest part. Defaults to `30.0`.

    Yields:
        EncodedVideos, in order; one where the video is no longer than a part.
    """
    longest = max(int(max_seconds * (fps or _USUAL_FPS)), 1)  # frames
    held: list[bytes] = []
    height = width = 0
    for frame in frames:
        image = _shrunk(Image.fromarray(frame), short_side)
        width, height = image.size
        if len(held) == 2 * longest:
            yield EncodedVideo(tuple(held[:longest]), height, width, fps)
            del held[:longest]
        held.append(_jpeg(image, jpeg_quality))
    parts = -(-len(held) // longest)
    for part in range(parts):
        first, last = part * len(held) // parts, (part + 1) * len(held) // parts
        yield EncodedVideo(tuple(held[first:last]), height, width, fps)


def _shrunk(image: Image.Image, short_side: int) -> Image.Image:
    if min(image.size) <= short_side:
        return image
    height, width = resized_size(image.height, image.width, short_side)
    # Antialiased, a triangle filter; many times faster than `resize_frames`, whose every byte is
    # defined, which what JPEG is to change need not be.
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # Huffman tables of its own: a twentieth smaller, the same pixels.
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
