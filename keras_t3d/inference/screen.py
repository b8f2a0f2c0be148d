"""A window on the screen that plays pictures, with OpenCV."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from types import TracebackType
from typing import Any

import numpy as np

_ESCAPE = 27
_LARGEST = 1280, 720  # pixels: width and height of a window as it opens


class ScreenError(RuntimeError):
    """No window can be opened here; the message says what would help."""


class Screen:
    """A window that shows one picture after the other, each when its time has come.

    It opens in the size of the first picture, smaller where that is large, and can be resized.

    Args:
        title: str. Stands above the window.
        live: bool. Whether pictures are shown as they come, without a look at their times: a
            camera's come in time by themselves. Defaults to `False`.

    Raises:
        ScreenError: if there is no OpenCV, one without windows, or no screen.

    Example:

    ```python
    with Screen("clip.mp4") as screen:
        for frame in frames:
            if not screen.show(frame.pixels, frame.start):
                break  # the user closed the window
    ```
    """

    def __init__(self, title: str, live: bool = False) -> None:
        self._opencv = _opencv()
        self._title = title
        self._live = live
        self._is_empty = True
        self._began: float | None = None  # the clock's time of second 0
        try:
            self._opencv.namedWindow(
                title, self._opencv.WINDOW_NORMAL | self._opencv.WINDOW_KEEPRATIO
            )
        except self._opencv.error:
            raise ScreenError(
                "The OpenCV installed here is one without windows (opencv-python-headless): "
                "pip uninstall opencv-python-headless, then pip install 'keras-t3d[watch]'"
            ) from None

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(self._opencv.error):  # one that the user closed is none
            self._opencv.destroyWindow(self._title)

    def show(self, pixels: np.ndarray, start: float) -> bool:
        """Shows a picture at its time, or at once where that is past.

        Args:
            pixels: uint8 array of shape (height, width, 3), RGB.
            start: float. Seconds at which it is to appear.

        Returns:
            False when the user pressed q or Escape or closed the window.
        """
        milliseconds = 0 if self._live else self._milliseconds_until(start)
        if milliseconds and self._ended_within(milliseconds):
            return False
        if not self._is_open_for(pixels):  # a picture would open it again
            return False
        self._opencv.imshow(self._title, np.ascontiguousarray(pixels[..., ::-1]))  # BGR
        return not self._ended_within(1)  # draws

    def _milliseconds_until(self, start: float) -> int:
        now = time.monotonic()
        # A picture that comes late moves the rest: no rush to catch up.
        self._began = now - start if self._began is None else max(self._began, now - start)
        return round(1000 * (self._began + start - now))

    def _ended_within(self, milliseconds: int) -> bool:
        """Lets the window work for so long; whether q or Escape was pressed."""
        return self._opencv.waitKey(milliseconds) & 0xFF in (ord("q"), _ESCAPE)

    def _is_open_for(self, pixels: np.ndarray) -> bool:
        """Whether the user left the window open; its first picture gives it its size."""
        try:
            if self._is_empty:  # and perhaps not visible yet
                self._is_empty = False
                self._opencv.resizeWindow(self._title, *_window_size(*pixels.shape[:2]))
                return True
            visible = self._opencv.WND_PROP_VISIBLE
            return bool(self._opencv.getWindowProperty(self._title, visible) >= 1)
        except self._opencv.error:  # the toolkit ends with its last window
            return False


def _window_size(height: int, width: int) -> tuple[int, int]:
    """Returns width and height that show a picture whole, and no larger than it is."""
    scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _opencv() -> Any:
    # Without this look, OpenCV's toolkit ends the whole process.
    no_screen = not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if platform.system() == "Linux" and no_screen:
        raise ScreenError("No screen here (neither DISPLAY nor WAYLAND_DISPLAY is set)")
    # Both wheels bring an X11 library of the same name; with PyAV's, OpenCV's first window
    # never returns and cannot be interrupted: https://github.com/PyAV-Org/PyAV/issues/978
    if platform.system() == "Linux" and "av" in sys.modules and "cv2" not in sys.modules:
        raise ScreenError(
            "OpenCV must be imported before PyAV: begin the program with `import cv2`, or with "
            "`keras_t3d.inference.screen.Screen`"
        )
    try:
        import cv2
    except ImportError:
        raise ScreenError("Showing a window needs OpenCV: pip install 'keras-t3d[watch]'") from None
    return cv2
