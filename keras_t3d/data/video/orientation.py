"""Turns and mirrors frames as the display matrix of a file demands."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type


def is_turned(frame: av.VideoFrame) -> bool:
    """Returns whether the frame is shown with its rows as columns."""
    across, _, _, along = _display_matrix(frame)
    return not across and not along


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
    side_data: Any = frame.side_data  # PyAV's annotation knows names only
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
