"""Writing pictures and their times as an mp4 file."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from keras_t3d.atomic import written_beside

_CLOCK = 90_000  # units of time a second: the clock of broadcast video
_CODECS = {
    # No frames that refer to later ones: in an mp4 file those blur where the last one ends.
    "libx264": {"crf": "20", "preset": "veryfast", "bf": "0"},
    "libopenh264": {},
    "mpeg4": {"qscale": "3"},
}
_USUAL_FPS = 25


class AnnotatedVideo:
    """An mp4 file that takes one picture after the other; see `annotated_video`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.num_frames = 0
        self._container = av.open(os.fspath(path), "w", format="mp4")
        self._stream: Any = None
        self._lengths: dict[int, int] = {}  # of frames that the encoder still holds
        self._last = -1

    def write(self, pixels: np.ndarray, start: float, end: float) -> None:
        """Adds a picture.

        Args:
            pixels: uint8 array of shape (height, width, 3), RGB; all of one size. An odd
                height or width is made even, as H.264 wants it, by its last row or column
                twice.
            start: float. Seconds at which it appears.
            end: float. Seconds at which it gives way.
        """
        pixels = np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], "edge")
        if self._stream is None:
            height, width = pixels.shape[:2]
            self._stream = _new_stream(self._container, height, width, end - start)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        # Two pictures at one time cannot be written: the later comes a tick later.
        frame.pts = self._last = max(round(start * _CLOCK), self._last + 1)
        frame.time_base = Fraction(1, _CLOCK)
        self._lengths[frame.pts] = max(round(end * _CLOCK) - frame.pts, 1)
        self._mux(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        """Writes what the encoder still holds; the file is playable after that."""
        if self._stream is not None:
            self._mux(self._stream.encode())
        self._container.close()

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            # What the encoder does not pass on: the last picture's length, above all.
            packet.duration = self._lengths.pop(packet.pts or 0, 0)
            self._container.mux(packet)


@contextlib.contextmanager
def annotated_video(path: str | os.PathLike[str]) -> Iterator[AnnotatedVideo]:
    """Opens an mp4 file to write; whole when the block ends, absent if it raises.

    Args:
        path: path that ends in `.mp4`.

    Raises:
        ValueError: if it ends otherwise.
        OSError: if it cannot be written.

    Example:

    ```python
    with VideoReader("clip.mp4") as source, annotated_video("grey.mp4") as out:
        for frame in source.timed():
            grey = np.repeat(frame.pixels.mean(-1, keepdims=True), 3, -1).astype("uint8")
            out.write(grey, frame.start, frame.end)
    ```
    """
    check_annotated_file(path)
    with written_beside(path) as part:
        try:
            video = AnnotatedVideo(part)
            try:
                yield video
            except BaseException:
                with contextlib.suppress(Exception):
                    video.close()
                raise
            video.close()
        except av.FFmpegError as error:
            raise OSError(f"Cannot be written ({error.strerror}): {os.fspath(path)}") from None


def check_annotated_file(path: str | os.PathLike[str]) -> None:
    """Refuses what is no path of an mp4 file."""
    if pathlib.Path(path).suffix.lower() != ".mp4" or os.path.isdir(path):
        raise ValueError(
            "Expected a file that ends in .mp4, for example annotated.mp4. "
            f"Received: {os.fspath(path)}"
        )


def _new_stream(container: Any, height: int, width: int, length: float) -> Any:
    codec = next((name for name in _CODECS if name in av.codecs_available and _encodes(name)), None)
    if codec is None:
        raise OSError(
            f"Writing mp4 needs one of the encoders {', '.join(_CODECS)}; this PyAV has none: "
            "pip install --upgrade av"
        )
    # The rate is a hint for the encoder: times are those of the pictures.
    fps = Fraction(1 / length).limit_denominator(1001) if 0.001 < length < 10 else _USUAL_FPS
    stream = container.add_stream(codec, rate=fps)
    stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
    stream.codec_context.time_base = Fraction(1, _CLOCK)
    stream.time_base = Fraction(1, _CLOCK)
    stream.options = _CODECS[codec]
    return stream


def _encodes(codec: str) -> bool:
    try:
        return bool(av.Codec(codec, "w"))
    except (ValueError, av.FFmpegError):
        return False
