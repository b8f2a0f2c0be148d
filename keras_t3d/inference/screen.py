"""Plays frames in a window on the screen, with OpenCV."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from typing import Any

import numpy as np

from keras_t3d.errors import KerasT3DError

_ESCAPE = 27
_MAX_SIZE = 1280, 720  # pixels: initial width and height of the window


class ScreenError(KerasT3DError, RuntimeError):
    """No window can be opened on the screen."""


class Screen:
    """A window that shows each frame at its time.

    It opens in the size of the first frame, at most 1280x720, and can be resized.

    Args:
        title: title of the window.
        live: whether to show frames at once and ignore their times, as for cameras.

    Raises:
        ScreenError: if OpenCV is missing or built without windows, or there is no screen.

    Example:

    ```python
    import cv2  # before PyAV, which keras_t3d.data imports

    with Screen("clip.mp4") as screen, keras_t3d.data.VideoReader("clip.mp4") as video:
        for frame in video.timed():
            if not screen.show(frame.pixels, frame.start):
                break  # the user closed the window
    ```
    """

    def __init__(self, title: str, live: bool = False) -> None:
        self._opencv = _opencv()
        self._title = title
        self._live = live
        self._is_new = True
        self._start: float | None = None  # clock time of second 0 of the video
        try:
            self._opencv.namedWindow(
                title, self._opencv.WINDOW_NORMAL | self._opencv.WINDOW_KEEPRATIO
            )
        except self._opencv.error:
            raise ScreenError(
                "The installed OpenCV has no windows (opencv-python-headless): "
                "pip uninstall opencv-python-headless, then pip install 'keras-t3d[watch]'"
            ) from None

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(self._opencv.error):  # the user has closed it
            self._opencv.destroyWindow(self._title)

    def show(self, pixels: np.ndarray, start: float) -> bool:
        """Shows a frame at its time, or at once if that has passed.

        Args:
            pixels: uint8 array (height, width, 3), RGB.
            start: seconds at which the frame appears.

        Returns:
            False if the user pressed q or Escape or closed the window.
        """
        milliseconds = 0 if self._live else self._milliseconds_until(start)
        if milliseconds and self._quits_within(milliseconds):
            return False
        if not self._is_open_for(pixels):  # `imshow` would open it again
            return False
        self._opencv.imshow(self._title, np.ascontiguousarray(pixels[..., ::-1]))  # BGR
        return not self._quits_within(1)  # lets OpenCV draw

    def _milliseconds_until(self, start: float) -> int:
        now = time.monotonic()
        # A late frame delays the following ones too, rather than playing them faster.
        self._start = now - start if self._start is None else max(self._start, now - start)
        return round(1000 * (self._start + start - now))

    def _quits_within(self, milliseconds: int) -> bool:
        """Processes window events for this time; returns whether q or Escape was pressed."""
        return self._opencv.waitKey(milliseconds) & 0xFF in (ord("q"), _ESCAPE)

    def _is_open_for(self, pixels: np.ndarray) -> bool:
        """Whether the window is still open; sets its size at the first frame."""
        try:
            if self._is_new:  # it may not be visible yet
                self._is_new = False
                self._opencv.resizeWindow(self._title, *_window_size(*pixels.shape[:2]))
                return True
            visible = self._opencv.WND_PROP_VISIBLE
            return bool(self._opencv.getWindowProperty(self._title, visible) >= 1)
        except self._opencv.error:  # the GUI toolkit ends with its last window
            return False


def _window_size(height: int, width: int) -> tuple[int, int]:
    """Returns width and height of a window that shows a frame, at most in its own size."""
    scale = min(1.0, _MAX_SIZE[0] / width, _MAX_SIZE[1] / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _opencv() -> Any:
    # Without this check, OpenCV's GUI toolkit would end the process.
    no_screen = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if platform.system() == "Linux" and no_screen:
        raise ScreenError("No screen: neither DISPLAY nor WAYLAND_DISPLAY is set")
    # Both wheels contain an X11 library of the same name; with PyAV's, OpenCV's first window
    # hangs and cannot be interrupted: https://github.com/PyAV-Org/PyAV/issues/978
    if platform.system() == "Linux" and "av" in sys.modules and "cv2" not in sys.modules:
        raise ScreenError(
            "OpenCV must be imported before PyAV: start the program with `import cv2`"
        )
    try:
        import cv2
    except ImportError:
        raise ScreenError("A window needs OpenCV: pip install 'keras-t3d[watch]'") from None
    return cv2
