"""Reads the frames of a camera."""

from __future__ import annotations

import contextlib
import functools
import itertools
import platform
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import av

from keras_t3d.data.video.decoding import StreamDecoder
from keras_t3d.data.video.errors import VideoError
from keras_t3d.data.video.frames import (
    TimedFrame,
    pixel_aspect,
    presentation_times,
    shown_times,
)
from keras_t3d.data.video.rgb import RgbConverter

# FFmpeg's input format and device name, by operating system.
_DEVICES = {"Linux": ("v4l2", "/dev/video{}"), "Darwin": ("avfoundation", "{}")}
_DEFAULT_FPS = 30.0
_POLL_INTERVAL = 0.005  # seconds
_FRAME_TIMEOUT = 10.0  # seconds; the system may first ask the user for permission
_QUEUE_SIZE = 8  # packets read ahead
_CLOSE_TIMEOUT = 1.0  # seconds that the last read may take on close


class Camera:
    """Reads a camera: with Video4Linux on Linux, with AVFoundation on macOS.

    Args:
        number: index of the camera, 0 for the first.

    Raises:
        VideoError: if there is no such camera, or it is in use.

    Example:

    ```python
    with Camera(0) as camera:
        for frame in camera.timed():  # until the camera is disconnected
            print(frame.start, frame.pixels.shape)
    ```
    """

    def __init__(self, number: int) -> None:
        self._name = f"camera {number}"
        system = platform.system()
        if system not in _DEVICES:
            raise VideoError(f"Cameras can be read on Linux and macOS only. Received: {system}")
        format_name, device = _DEVICES[system]
        # AVFoundation accepts only the camera's own frame rates; nearly all cameras have 30.
        options = {"framerate": f"{_DEFAULT_FPS:g}"} if system == "Darwin" else {}
        try:
            self._container = av.open(device.format(number), format=format_name, options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoError(
                f"Cannot open the camera {device.format(number)}: {reason}. Cameras are numbered "
                f"from 0. Received: {number}"
            ) from None
        self._stream = self._container.streams.video[0]
        self._packets = _PacketReader(self._container)
        self._is_read = threading.Lock()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *error: object) -> None:
        self._packets.close()

    def timed(self) -> Iterator[TimedFrame]:
        """Yields the frames, with times in seconds since the first one.

        Raises:
            VideoError: after the last frame, if the camera stopped; at the first, if the frames are
                being read already, as two readers would each get a part of them.
        """
        if not self._is_read.acquire(blocking=False):
            raise VideoError(
                f"The frames of {self._name} are being read already: read them in one loop, and "
                "pass each frame on. Received: a second call of `timed`"
            )
        try:
            yield from self._timed()
        finally:
            self._is_read.release()

    def _timed(self) -> Iterator[TimedFrame]:
        # Damaged frames, which webcams send now and then, are left out.
        decoder = StreamDecoder(self._packets, self._stream, lambda packet: True)
        frames = decoder.frames()
        first = next(frames, None)
        if first is None:
            why = f" ({decoder.stopped})" if decoder.stopped else ""
            raise VideoError(f"No frame from {self._name}{why}")
        size = (first.width, first.height)
        aspect = pixel_aspect(self._stream, first)
        converter = RgbConverter(self._name)
        gap = 1 / float(self._stream.average_rate or _DEFAULT_FPS)
        origin = first.time or 0.0  # seconds since 1970, or since the machine started
        timed = presentation_times(itertools.chain([first], frames), origin, gap)
        for start, end, frame in shown_times(timed, gap):
            convert = functools.partial(converter.pixels, frame, size)
            yield TimedFrame(start, end, convert, aspect)
        if decoder.stopped:
            raise VideoError(f"Reading {self._name} stopped: {decoder.stopped}")


class _PacketReader:
    """Reads an open camera in a thread, because a driver that hangs cannot be interrupted."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._queue: queue.Queue[av.Packet | Exception | None] = queue.Queue(_QUEUE_SIZE)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def demux(self, stream: Any) -> Iterator[av.Packet]:
        if self._thread is None:  # else after an earlier reader
            self._thread = threading.Thread(target=self._fill, args=(stream,), daemon=True)
            self._thread.start()
        while True:
            try:
                packet = self._queue.get(timeout=_FRAME_TIMEOUT)
            except queue.Empty:
                raise TimeoutError(f"no frame for {_FRAME_TIMEOUT:g} s") from None
            if packet is None or isinstance(packet, Exception):
                self._queue.put(packet)  # for a later reader
                if packet is None:
                    return
                raise packet
            yield packet

    def close(self) -> None:
        """Closes the camera; if its driver hangs, the system does so when the process ends."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT)
        if self._thread is None or not self._thread.is_alive():
            self._container.close()

    def _fill(self, stream: Any) -> None:
        try:
            while not self._closing.is_set():
                try:
                    for packet in self._container.demux(stream):
                        if not self._put(packet):
                            return
                    break
                except BlockingIOError:  # AVFoundation: no frame yet
                    time.sleep(_POLL_INTERVAL)
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, packet: av.Packet | Exception | None) -> bool:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(packet, timeout=_CLOSE_TIMEOUT / 10)
                return True
        return False
