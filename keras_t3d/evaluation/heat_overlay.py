"""Heat drawn over the frames of a video, and over time below them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_t3d.clips import ClipSpec
from keras_t3d.clips.resize import resized_size
from keras_t3d.clips.view import crop_offsets

_OPACITY = 0.65  # at full heat
_PANEL = (16, 20, 28)
_POSITION = (255, 255, 255)


def stretch(values: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Interpolates an array linearly between the middles of its cells.

    Args:
        values: float array.
        sizes: sizes of the result, one for each of the first axes; the others stay.

    Example:

    ```python
    stretch(np.array([0.0, 1.0]), [4])  # [0, 0.25, 0.75, 1]
    ```
    """
    for axis, size in enumerate(sizes):
        cells = values.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
        before = place.astype(int)
        after = np.minimum(before + 1, cells - 1)
        share = (place - before).astype(values.dtype)
        share = share.reshape(-1, *[1] * (values.ndim - axis - 1))
        values = values.take(before, axis) * (1 - share) + values.take(after, axis) * share
    return values


def draw_heat(pixels: np.ndarray, heat: np.ndarray, clip_spec: ClipSpec) -> np.ndarray:
    """Draws heat over the part of a frame that the model reads.

    Args:
        pixels: uint8 array (height, width, 3), RGB; it is not changed.
        heat: float32 array (rows, columns), from 0 to 1.
        clip_spec: the clips that the model reads, whose crop the heat covers.

    Returns:
        uint8 array of the same shape.

    Example:

    ```python
    frame = np.zeros((48, 64, 3), np.uint8)
    draw_heat(frame, np.ones((2, 2), np.float32), keras_t3d.ClipSpec(resize=32, crop=32))
    ```
    """
    top, bottom, left, right = read_rectangle(pixels.shape[0], pixels.shape[1], clip_spec)
    size = right - left, bottom - top
    fine = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    heat = np.clip(np.asarray(fine), 0, 1)[..., None]
    result = pixels.copy()
    below = result[top:bottom, left:right]
    opacity = _OPACITY * np.sqrt(heat)  # faint heat is visible too
    below[:] = np.rint(below * (1 - opacity) + _colours(heat[..., 0]) * opacity)
    return result


def read_rectangle(height: int, width: int, clip_spec: ClipSpec) -> tuple[int, int, int, int]:
    """Returns top, bottom, left and right of what the model reads of a frame of this size."""
    resized = resized_size(height, width, clip_spec.resize)
    edges = []
    for side, small, crop, first in zip(
        (height, width),
        resized,
        clip_spec.crop_size,
        crop_offsets(*resized, clip_spec),
        strict=True,
    ):
        edges += [round(first * side / small), round((first + crop) * side / small)]
    return edges[0], edges[1], edges[2], edges[3]


def heat_strip(
    times: np.ndarray, heat: np.ndarray, seconds: float, height: int, width: int
) -> np.ndarray:
    """Draws the heat over time as a strip to put below the frames of a video.

    Args:
        times: seconds, in order.
        heat: heat at these times, from 0 to 1.
        seconds: length of the video.
        height: height of the frames; the strip has a tenth of it, but at least 24 pixels.
        width: width of the frames.

    Returns:
        uint8 array (rows, width, 3).

    Example:

    ```python
    heat_strip(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1.0, 48, 64).shape  # (24, 64, 3)
    ```
    """
    rows = max(height // 10, 24)
    moments = (np.arange(width) + 0.5) / width * seconds
    heat = np.interp(moments, times, heat)
    strip = np.full((rows, width, 3), _PANEL, np.uint8)
    is_filled = np.arange(rows)[::-1, None] < np.rint(heat * (rows - 2))
    strip[is_filled] = np.broadcast_to(_colours(heat), strip.shape)[is_filled]
    return strip


def with_strip(pixels: np.ndarray, strip: np.ndarray, share: float) -> np.ndarray:
    """Returns a frame with a strip below, on which a white line marks a share of the video."""
    strip = strip.copy()
    position = min(int(share * strip.shape[1]), strip.shape[1] - 1)
    strip[:, position : position + 2] = _POSITION
    return np.concatenate([pixels, strip])


def _colours(heat: np.ndarray) -> np.ndarray:
    """Returns a colour for each value from 0 to 1, uint8 (*heat.shape, 3)."""
    return _palette()[np.rint(heat * 255).astype(int)]


@functools.cache
def _palette() -> np.ndarray:
    import matplotlib

    palette: np.ndarray = matplotlib.colormaps["turbo"](np.arange(256), bytes=True)[:, :3]
    return palette
