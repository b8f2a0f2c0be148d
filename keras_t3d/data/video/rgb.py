"""Converts decoded frames to RGB, with one scaler for all frames of a kind."""

from __future__ import annotations

import threading
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_t3d.data.video.decoding import reason
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.orientation import upright

# PyAV before 17 scales with one thread, and has no such argument.
_HAS_THREADS = int(av.__version__.partition(".")[0]) >= 17


class RgbConverter:
    """Converts the frames of a stream to RGB.

    Preparing a scaler takes FFmpeg longer than scaling a small frame. It is kept while frames have
    the same size, pixel format and colours; frames of another kind get a new one, so that no
    frame depends on those before it. Threads take turns.

    Args:
        source: name of the video, for messages.
        threads: threads that scale a frame; 0 lets FFmpeg choose. The pixels are the same.

    Example:

    ```python
    converter = RgbConverter("clip.mp4")
    with av.open("clip.mp4") as container:
        for frame in container.decode(video=0):
            pixels = converter.pixels(frame, (320, 240))  # uint8 (240, 320, 3)
    ```
    """

    def __init__(self, source: str, threads: int = 1) -> None:
        self._source = source
        self._options: dict[str, Any] = {"threads": threads} if _HAS_THREADS else {}
        self._kind: tuple[object, ...] | None = None
        self._scaler = VideoReformatter()
        self._turn = threading.Lock()

    def pixels(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Converts a decoded frame to a uint8 RGB array (height, width, 3), upright.

        Args:
            frame: decoded frame.
            size: width and height, in pixels, to scale the frame to before it is turned.

        Raises:
            VideoError: if the frame cannot be converted to RGB.
        """
        try:
            pixels = self._converted(frame, size).to_ndarray()
        except (av.FFmpegError, OSError, ValueError) as error:
            why = reason(error)
            raise VideoError(f"Cannot convert a frame to RGB ({why}): {self._source}") from None
        return upright(pixels, frame)

    def error(self, frame: av.VideoFrame, size: tuple[int, int]) -> str | None:
        """Returns why `pixels` would raise for this frame; None if it would not."""
        try:
            self._converted(frame, size)
        except (av.FFmpegError, OSError, ValueError) as error:
            return reason(error)
        return None

    def _converted(self, frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
        kind = (
            *(frame.format.name, frame.width, frame.height, *size),
            *(int(frame.colorspace), int(frame.color_range), frame.interlaced_frame),
        )
        with self._turn:
            if kind != self._kind:
                self._scaler = VideoReformatter()
            self._kind = None  # unless it succeeds: a scaler that failed is not used again
            converted = self._scaler.reformat(frame, *size, format="rgb24", **self._options)
            self._kind = kind
        return converted
