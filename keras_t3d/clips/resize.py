"""Resizes frames with integer weights, in NumPy: the resize of the view.

Weights are whole numbers of 2048ths, and every sum of weighted pixels is one that float32 holds
exactly. So neither the order of additions nor the library of matrix products can change a pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# The weights of each output pixel add up to this in both passes of the resize. 2**11 keeps a
# pass exact even where matrix products run in TensorFloat-32.
WEIGHT_SUM = 2048
_TOGETHER = 8  # output pixels of a matrix product: more multiply more zeros, fewer take more calls
_PART = 1024  # output pixels whose weights are held at a time: frames can be very wide
_IN_CACHE = 2**18  # values of the frames that are resized together
_COLOURS = 3


def resized_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Returns (height, width), scaled so that the short side is `short_side`."""
    shortest = height if height < width else width
    scaled = [(2 * side * short_side + shortest) // (2 * shortest) for side in (height, width)]
    return scaled[0], scaled[1]


@functools.lru_cache(maxsize=64)
def resize_weights(
    size_in: int, size_out: int, first: int = 0, count: int | None = None
) -> np.ndarray:
    """Returns the matrix that resizes `size_in` pixels to `size_out`, or some of its rows.

    The filter is a triangle, widened for downscaling (antialiased bilinear), in integers: each
    row adds up to 2048.

    Args:
        size_in: pixels before.
        size_out: pixels after.
        first: first row to return.
        count: number of rows to return; None is all from the first one on.

    Returns:
        int64 array of shape (count, size_in).
    """
    places = np.arange(first, size_out if count is None else first + count)
    weights = _weights(size_in, size_out, places, np.arange(size_in))
    weights.flags.writeable = False  # the cache shares it
    return weights


def resize_frames(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes whole frames.

    Args:
        frames: uint8 array of shape (N, H, W, 3).
        height: new height, in pixels.
        width: new width, in pixels.

    Returns:
        uint8 array of shape (N, height, width, 3).
    """
    return resize_and_crop(frames, (height, width), (0, 0), (height, width))


def resize_short_side(frame: np.ndarray, short_side: int) -> np.ndarray:
    """Resizes one uint8 frame (H, W, 3) so that its short side is `short_side`."""
    height, width = resized_size(frame.shape[0], frame.shape[1], short_side)
    return resize_frames(frame[None], height, width)[0]


def columns_of_crop(
    width: int, size: tuple[int, int], corner: tuple[int, int], crop: tuple[int, int]
) -> tuple[int, int]:
    """Returns the first column of frames that `resize_and_crop` reads, and the one after the last.

    Args:
        width: width of the frames, in pixels.
        size, corner, crop: as for `resize_and_crop`.
    """
    return _used(_Axis(width, size[1], corner[1], crop[1]))


def resize_and_crop(
    frames: np.ndarray,
    size: tuple[int, int],
    corner: tuple[int, int],
    crop: tuple[int, int],
    width: int | None = None,
) -> np.ndarray:
    """Resizes frames, and computes only a part of the result: rows first, then columns.

    Args:
        frames: uint8 array of shape (N, H, W, 3).
        size: height and width of the resized frames, in pixels.
        corner: top and left of the part in the resized frames.
        crop: height and width of the part.
        width: width of the frames, if `frames` holds the `columns_of_crop` only.

    Returns:
        uint8 array of shape (N, *crop, 3).
    """
    out = np.empty((len(frames), *crop, _COLOURS), np.uint8)
    rows = _Axis(frames.shape[1], size[0], corner[0], crop[0])
    columns = _Axis(width or frames.shape[2], size[1], corner[1], crop[1])
    used = frames if width else frames[:, :, slice(*_used(columns))]
    if (rows.size_in, columns.size_in) == size:
        out[:] = used[:, slice(*_used(rows))]
        return out
    together = max(_IN_CACHE // (crop[0] * used.shape[2] * _COLOURS), 1)
    for first in range(0, len(frames), together):
        part = slice(first, first + together)
        # The values are positive, so the conversion to integers rounds them down.
        out[part] = _resize_columns(_resize_rows(used[part], rows), columns)
    return out


class _Axis(NamedTuple):
    """Some pixels along one axis of a resized frame."""

    size_in: int
    size_out: int
    first: int
    pixels: int


def _resize_rows(frames: np.ndarray, axis: _Axis) -> np.ndarray:
    """Returns rows of resized uint8 frames as whole numbers in float32 (N, rows, W, 3)."""
    if axis.size_in == axis.size_out:
        return frames[:, axis.first : axis.first + axis.pixels].astype(np.float32)
    count, _, width, colours = frames.shape
    tall = np.empty((count, axis.pixels, width * colours), np.float32)
    used = np.empty((count, 0, width * colours), np.float32)  # one for all: new memory takes time
    for band in _bands(axis, 1):
        first, end = band.used
        if end - first > used.shape[1]:
            used = np.empty((count, end - first, width * colours), np.float32)
        rows = used[:, : end - first]
        rows.reshape(count, -1, width, colours)[:] = frames[:, first:end]
        np.matmul(band.weights, rows, out=tall[:, band.made])
    tall += 0.5
    np.floor(tall, out=tall)
    return tall.reshape(count, axis.pixels, width, colours)


def _resize_columns(frames: np.ndarray, axis: _Axis) -> np.ndarray:
    """Returns columns of resized float32 frames, whose first one is the first that is used.

    They are to be rounded down.
    """
    if axis.size_in == axis.size_out:
        return frames
    count, height, width, colours = frames.shape
    # The colours of a pixel lie side by side: each has the weights of the pixel, in a matrix with
    # zeros for the other colours. That takes less time than to move the colours apart.
    lines = frames.reshape(count * height, width * colours)
    wide = np.empty((count * height, axis.pixels * colours), np.float32)
    origin = _used(axis)[0]
    for band in _bands(axis, colours):
        begin, end = (colours * (column - origin) for column in band.used)
        made = slice(colours * band.made.start, colours * band.made.stop)
        np.matmul(lines[:, begin:end], band.weights.T, out=wide[:, made])
    wide += 0.5
    return wide.reshape(count, height, axis.pixels, colours)


# Bands of weights: few neighbouring pixels of a frame make a pixel of the resized one.


class _Band(NamedTuple):
    made: slice  # pixels of the result
    used: tuple[int, int]  # the first pixel that they are made of, and the one after the last
    weights: np.ndarray  # float32 (made, used), with all colours of a pixel if interleaved


def _bands(axis: _Axis, interleaved: int) -> Iterator[_Band]:
    """Yields the weights of a few pixels at a time, in multiples of 1 / WEIGHT_SUM."""
    for done in range(0, axis.pixels, _PART):
        pixels = min(_PART, axis.pixels - done)
        part = axis._replace(first=axis.first + done, pixels=pixels)
        for band in _held_bands(part, interleaved):
            made = slice(band.made.start + done, band.made.stop + done)
            yield band._replace(made=made)


@functools.lru_cache(maxsize=64)
def _held_bands(axis: _Axis, interleaved: int) -> list[_Band]:
    bands = []
    for start in range(0, axis.pixels, _TOGETHER):
        stop = min(start + _TOGETHER, axis.pixels)
        few = axis._replace(first=axis.first + start, pixels=stop - start)
        used = _used(few)
        places = np.arange(few.first, few.first + few.pixels)
        weights = _weights(axis.size_in, axis.size_out, places, np.arange(*used))
        exact = (weights / WEIGHT_SUM).astype(np.float32)
        bands.append(
            _Band(slice(start, stop), used, np.kron(exact, np.eye(interleaved, dtype=np.float32)))
        )
    return bands


def _used(axis: _Axis) -> tuple[int, int]:
    """Returns the first pixel that has a weight, and the one after the last."""
    size_in, size_out, first, pixels = axis
    if size_in == size_out:
        return first, first + pixels
    reach = 2 * max(size_in, size_out)
    begin = (2 * first + 1) * size_in - size_out - reach
    end = (2 * (first + pixels) - 1) * size_in - size_out + reach
    return max(begin // (2 * size_out) + 1, 0), min(-(-end // (2 * size_out)), size_in)


def _weights(size_in: int, size_out: int, places: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns the weights of pixels `columns`, which hold all that have one, at `places`."""
    # Distances from the output centres (i + 1/2) * in/out - 1/2 to pixel j, times 2 * out.
    centres = (2 * places[:, None] + 1) * size_in - size_out
    distances = np.abs(centres - 2 * size_out * columns[None, :])
    triangle = np.maximum(2 * max(size_in, size_out) - distances, 0)
    cumulated = np.cumsum(triangle, axis=1)
    totals = cumulated[:, -1:]
    rounded = (2 * cumulated * WEIGHT_SUM + totals) // (2 * totals)
    return np.diff(rounded, axis=1, prepend=0)
