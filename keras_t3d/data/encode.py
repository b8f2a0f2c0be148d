"""One video to the JPEG frames of its record: what a conversion worker does."""

from __future__ import annotations

import dataclasses
import io
import os

import numpy as np
from PIL import Image

from keras_t3d.clips import resize_short_side
from keras_t3d.data.video import VideoError, VideoReader

_MOST_BYTES = 2**30  # a record, a protocol buffer, holds less than 2 GiB


@dataclasses.dataclass(frozen=True)
class EncodedVideo:
    """The frames of one video as they stand in a shard.

    Attributes:
        frames: JPEG bytes, one entry a frame.
        height: int. Height of the frames, in pixels.
        width: int. Width of the frames, in pixels.
        fps: float. Mean frames per second; 0.0 where unknown.
        damage: str or None. See `keras_t3d.data.Video`.
    """

    frames: tuple[bytes, ...]
    height: int
    width: int
    fps: float
    damage: str | None


def encode_video(
    path: str | os.PathLike[str], short_side: int = 128, jpeg_quality: int = 90
) -> EncodedVideo:
    """Decodes a video and encodes its frames as JPEG, one at a time.

    Frames larger than `short_side` are shrunk with the resize of the view
    function; smaller ones stay as they are.

    Args:
        path: path of the video.
        short_side: int. Largest length of a frame's short side, in pixels.
            Defaults to `128`.
        jpeg_quality: int, 1 to 100. Defaults to `90`.

    Returns:
        An EncodedVideo.

    Raises:
        VideoError: if not one frame decodes, or they take more than 1 GiB.
    """
    frames = []
    height = width = size = 0
    with VideoReader(path, threads=1) as reader:  # the workers fill the cores
        for frame in reader:
            is_larger = min(frame.shape[:2]) > short_side
            stored = resize_short_side(frame, short_side) if is_larger else frame
            height, width = stored.shape[:2]
            frames.append(_jpeg(stored, jpeg_quality))
            size += len(frames[-1])
            if size > _MOST_BYTES:
                raise VideoError(f"Too long for one record, cut it into parts: {path}")
    return EncodedVideo(tuple(frames), height, width, reader.fps, reader.damage)


def _jpeg(frame: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    # Huffman tables of its own: a twentieth smaller, the same pixels.
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
