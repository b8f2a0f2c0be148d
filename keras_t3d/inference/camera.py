"""Frames of a camera, as they come."""

from __future__ import annotations

import contextlib
import functools
import itertools
import platform
import queue
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import av

from keras_t3d.data.video.decoding import StreamDecoder
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.frames import TimedFrame, frame_pixels, pixel_aspect, shown_times

# How FFmpeg calls the cameras of a system, and a camera of it.
_DEVICES = {"Linux": ("v4l2", "/dev/video{}"), "Darwin": ("avfoundation", "{}")}
_FPS = 30.0
_PAUSE = 0.005  # seconds between two looks for a picture
_PATIENCE = 10.0  # seconds without one; people may be asked first whether they allow it
_HELD = 8  # packets read ahead
_FAREWELL = 1.0  # seconds that the last read may take when it is given back


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
        self._packets = _PatientCamera(self._container)

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._packets.close()

    def timed(self) -> Iterator[TimedFrame]:
        """Gives the frames with the seconds since the first at which each came.

        Raises:
            VideoError: after the last frame, if the camera stopped.
        """
        # Pictures that are damaged are left out: webcams send one now and then.
        decoder = StreamDecoder(self._packets, self._stream, lambda packet: True)
        frames = decoder.frames()
        first = next(frames, None)
        if first is None:
            why = f" ({decoder.stopped})" if decoder.stopped else ""
            raise VideoError(f"The camera gives no picture{why}: {self._name}")
        size = (first.width, first.height)
        aspect = pixel_aspect(self._stream, first)
        rate = float(self._stream.average_rate or _FPS)
        origin = first.time or 0.0  # seconds since 1970, or since the machine started
        for start, end, frame in shown_times(itertools.chain([first], frames), origin, rate):
            convert = functools.partial(frame_pixels, frame, size, self._name)
            yield TimedFrame(start, end, convert, aspect)
        if decoder.stopped:
            raise VideoError(f"The camera stopped ({decoder.stopped}): {self._name}")


class _PatientCamera:
    """An open camera, read by a thread of its own: nothing interrupts a driver that hangs."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._read: queue.Queue[av.Packet | Exception | None] = queue.Queue(_HELD)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def demux(self, stream: Any) -> Iterator[av.Packet]:
        self._thread = threading.Thread(target=self._fill, args=(stream,), daemon=True)
        self._thread.start()
        while True:
            try:
                packet = self._read.get(timeout=_PATIENCE)
            except queue.Empty:
                raise TimeoutError(f"waited {_PATIENCE:g} seconds for a picture") from None
            if packet is None:
                return
            if isinstance(packet, Exception):
                raise packet
            yield packet

    def close(self) -> None:
        """Gives the camera back; one that hangs, the system takes back when the process ends."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL)
        if self._thread is None or not self._thread.is_alive():
            self._container.close()

    def _fill(self, stream: Any) -> None:
        try:
            while not self._ended.is_set():
                try:
                    for packet in self._container.demux(stream):
                        if not self._put(packet):
                            return
                    break
                except BlockingIOError:  # AVFoundation's, where no picture is there yet
                    time.sleep(_PAUSE)
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, packet: av.Packet | Exception | None) -> bool:
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._read.put(packet, timeout=_FAREWELL / 10)
                return True
        return False
