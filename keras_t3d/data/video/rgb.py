"""Converts decoded frames to RGB, with one scaler for all frames of a kind."""

from __future__ import annotations

import fractions
import threading
from collections.abc import Callable
from typing import Any

import av
import av.filter
import numpy as np
from av.video.reformatter import VideoReformatter

from keras_t3d.data.video.decoding import reason
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.orientation import is_upright, upright

# PyAV before 17 scales with one thread, and has no such argument.
_HAS_THREADS = int(av.__version__.partition(".")[0]) >= 17


Columns = Callable[[int, int], tuple[int, int]]  # of a height and width: first, and after the last

_CUT_FORMATS = ("yuv420p", "yuvj420p")  # in which a pixel depends on no other block of 2 x 2
_CUT_STEP = 64  # columns: what FFmpeg's vector code reads at once


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
        self._cutter = _Cutter()
        self._turn = threading.Lock()

    def pixels(
        self, frame: av.VideoFrame, size: tuple[int, int], columns: Columns | None = None
    ) -> np.ndarray:
        """Converts a decoded frame to a uint8 RGB array (height, width, 3), upright.

        Args:
            frame: decoded frame.
            size: width and height, in pixels, to scale the frame to before it is turned.
            columns: which columns of the upright frame to return; None returns all. Of large
                frames, others are not converted where that changes no pixel.

        Raises:
            VideoError: if the frame cannot be converted to RGB.
        """
        try:
            if columns is not None and self._can_be_cut(frame, size):
                return self._cut_pixels(frame, *columns(frame.height, frame.width))
            pixels = self._converted(frame, size).to_ndarray()
        except (av.FFmpegError, OSError, ValueError) as error:
            why = reason(error)
            raise VideoError(f"Cannot convert a frame to RGB ({why}): {self._source}") from None
        pixels = upright(pixels, frame)
        return pixels if columns is None else pixels[:, slice(*columns(*pixels.shape[:2]))]

    def _can_be_cut(self, frame: av.VideoFrame, size: tuple[int, int]) -> bool:
        is_scaled = (frame.width, frame.height) != size
        return frame.format.name in _CUT_FORMATS and not is_scaled and is_upright(frame)

    def _cut_pixels(self, frame: av.VideoFrame, first: int, end: int) -> np.ndarray:
        begin = first // _CUT_STEP * _CUT_STEP
        width = min(-(-end // _CUT_STEP) * _CUT_STEP, frame.width) - begin
        with self._turn:
            cut = self._cutter.cut(frame, begin, width)
        pixels = self._converted(cut, (width, frame.height)).to_ndarray()
        return pixels[:, first - begin : end - begin]

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


class _Cutter:
    """Cuts columns out of frames, without a copy."""

    def __init__(self) -> None:
        self._kind: tuple[object, ...] | None = None
        self._graph = av.filter.Graph()

    def cut(self, frame: av.VideoFrame, begin: int, width: int) -> av.VideoFrame:
        kind = (frame.format.name, frame.width, frame.height, begin, width)
        if kind != self._kind:
            self._graph = self._new_graph(frame, begin, width)
            self._kind = kind
        self._graph.push(frame)
        cut = self._graph.pull()
        assert isinstance(cut, av.VideoFrame)
        cut.colorspace, cut.color_range = frame.colorspace, frame.color_range
        return cut

    @staticmethod
    def _new_graph(frame: av.VideoFrame, begin: int, width: int) -> av.filter.Graph:
        graph = av.filter.Graph()
        time_base = frame.time_base or fractions.Fraction(1, 1000)
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        crop = graph.add("crop", f"{width}:{frame.height}:{begin}:0:exact=1")
        sink = graph.add("buffersink")
        source.link_to(crop)
        crop.link_to(sink)
        graph.configure()
        return graph
