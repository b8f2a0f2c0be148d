"""Turns and mirrors frames as the display matrix of a file demands."""

from __future__ import annotations

import contextlib

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type


def is_turned(frame: av.VideoFrame) -> bool:
    """Returns whether the frame is shown with its rows as columns."""
    across, _, _, along = _display_matrix(frame)
    return not across and not along


def is_upright(frame: av.VideoFrame) -> bool:
    """Returns whether the frame is shown as it is stored."""
    return _display_matrix(frame) == (1, 0, 0, 1)


def upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Returns the pixels as they are shown: in one of eight orientations.

    Args:
        pixels: array (height, width, channels), as stored.
        frame: the decoded frame, which holds the display matrix.
    """
    across, down, right, along = _display_matrix(frame)
    if across or along:
        turned = pixels[:: along or 1, :: across or 1]
    else:
        turned = pixels.transpose(1, 0, 2)[:: down or 1, :: right or 1]
    return np.ascontiguousarray(turned)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """Returns a, b, c, d of -1, 0 or 1: x is shown at a * x + c * y, y at b * x + d * y.

    Matrices in between, such as turns by 30 degrees, count as the nearest of the eight that
    only turn by quarters and mirror. One of zeros, which some writers leave, is no turn.
    """
    matrix = _KnownSideData(frame).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


class _KnownSideData(SideDataContainer):
    """Side data of a frame, up to one of a kind that PyAV does not know.

    PyAV 18 refuses all of it where a camera wrote Exif data, which FFmpeg adds last.
    """

    def __init__(self, frame: av.VideoFrame) -> None:
        with contextlib.suppress(ValueError):
            super().__init__(frame)  # type: ignore[call-arg]
