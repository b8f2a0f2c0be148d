"""Frames of a camera, as they come."""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterator
from types import TracebackType

import av

from keras_t3d.data.video import TimedFrame, VideoError, frame_pixels, shown_times

# How FFmpeg calls the cameras of a system, and a camera of it.
_DEVICES = {"Linux": ("v4l2", "/dev/video{}"), "Darwin": ("avfoundation", "{}")}
_FPS = 30.0


class Camera:
    """Reads a camera by its number: on Linux by Video4Linux, on macOS by AVFoundation.

    Args:
        number: int. 0 for the first camera.

    Raises:
        VideoError: if there is none, or it is in use.

    Example:

    ```python
    with Camera(0) as camera:
        for frame in camera.timed():  # until the camera ends
            ...
    ```
    """

    def __init__(self, number: int) -> None:
        self._name = f"camera {number}"
        system = platform.system()
        if system not in _DEVICES:
            raise VideoError(f"Cameras are read on Linux and macOS only. Received: {system}")
        format_name, device = _DEVICES[system]
        # AVFoundation takes no rate but one of the camera's own, which is 30 nearly always.
        options = {"framerate": f"{_FPS:g}"} if system == "Darwin" else {}
        try:
            self._container = av.open(device.format(number), format=format_name, options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoError(
                f"The camera cannot be opened ({reason}): {device.format(number)}. "
                "Cameras are counted from 0, for example --camera 0"
            ) from None
        self._stream = self._container.streams.video[0]

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def timed(self) -> Iterator[TimedFrame]:
        """Gives the frames with the seconds since the first at which each came."""
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise VideoError(f"The camera gives no picture: {self._name}")
        size = (first.width, first.height)
        rate = float(self._stream.average_rate or _FPS)
        origin = first.time or 0.0  # seconds since 1970, or since the machine started

        def all_frames() -> Iterator[av.VideoFrame]:
            yield first
            yield from frames

        for start, end, frame in shown_times(all_frames(), origin, rate):
            yield TimedFrame(start, end, functools.partial(frame_pixels, frame, size, self._name))

    def _frames(self) -> Iterator[av.VideoFrame]:
        try:
            yield from self._container.decode(self._stream)
        except (av.FFmpegError, OSError) as error:
            raise VideoError(
                f"The camera stopped ({getattr(error, 'strerror', error)}): {self._name}"
            ) from None
