"""The view: turns the frames of a video into the clip that a model reads, in NumPy.

`keras_t3d.clips.tensorflow_view` has the TensorFlow form, which returns the same bytes. Both
resize with integer weights: every intermediate value is a whole number that float32 holds
exactly, so neither the order of additions nor the library can change a pixel.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keras_t3d.clips.clip_spec import ClipSpec
from keras_t3d.errors import InvalidArgumentError

Tensor = Any  # a TensorFlow tensor, for annotations where TensorFlow is not imported

MAX_AUTOMATIC_VIEWS = 10
CENTRE = (1, 1)

# The weights of each output pixel add up to this in both passes of the resize. 2**11 keeps a
# pass exact even where matrix products run in TensorFloat-32.
WEIGHT_SUM = 2048
_ROWS = 1024  # of a matrix of weights that are held at a time


def clip_frames(num_video_frames: int, clip_spec: ClipSpec, start: int | None = None) -> np.ndarray:
    """Returns the indices of the video frames that a clip consists of.

    A video too short for the clip loops: indices are modulo the length of the video.

    Args:
        num_video_frames: number of frames in the video, at least 1.
        clip_spec: the clip.
        start: index of the clip's first frame; None centres the clip in the video.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        InvalidArgumentError: if the video has no frames, or `start` is out of range.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=4, frame_stride=2)
    keras_t3d.clips.clip_frames(10, clip_spec)  # [1, 3, 5, 7]
    ```
    """
    last = last_start(num_video_frames, clip_spec)
    if start is None:
        start = last // 2
    if not 0 <= start <= last:
        raise InvalidArgumentError(
            f"`start` must be from 0 to {last}: the clip spans {clip_spec.span} of the "
            f"{num_video_frames} frames of the video. Received: {start}",
            argument="start",
        )
    return (start + clip_spec.frame_stride * np.arange(clip_spec.num_frames)) % num_video_frames


def last_start(num_video_frames: int, clip_spec: ClipSpec) -> int:
    """Returns the last frame at which a clip can start; 0 if the video must loop."""
    if num_video_frames < 1:
        raise InvalidArgumentError(
            f"`num_video_frames` must be at least 1. Received: {num_video_frames}",
            argument="num_video_frames",
        )
    return max(num_video_frames - clip_spec.span, 0)


# Resizing with integer weights.


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
    # Distances from the output centres (i + 1/2) * in/out - 1/2 to pixel j, times 2 * out.
    centres = (2 * places[:, None] + 1) * size_in - size_out
    distances = np.abs(centres - 2 * size_out * np.arange(size_in)[None, :])
    triangle = np.maximum(2 * max(size_in, size_out) - distances, 0)
    cumulated = np.cumsum(triangle, axis=1)
    totals = cumulated[:, -1:]
    rounded = (2 * cumulated * WEIGHT_SUM + totals) // (2 * totals)
    weights = np.diff(rounded, axis=1, prepend=0)
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
    return _resize_axis(_resize_axis(frames, height, axis=1), width, axis=2)


def _resize_axis(frames: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Resizes along `axis` (1: rows, 2: columns), with the weights of few pixels at a time."""
    parts = [
        _resize_part(frames, size, first, min(_ROWS, size - first), axis)
        for first in range(0, size, _ROWS)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def _resize_part(frames: np.ndarray, size: int, first: int, count: int, axis: int) -> np.ndarray:
    """Returns `count` rows or columns of frames resized to `size`, with their weights alone.

    A frame can be a thousand times as wide as it is high.
    """
    if frames.shape[axis] == size:
        return frames[(slice(None),) * axis + (slice(first, first + count),)]
    return _apply_weights(frames, resize_weights(frames.shape[axis], size, first, count), axis)


def resize_short_side(frame: np.ndarray, short_side: int) -> np.ndarray:
    """Resizes one uint8 frame (H, W, 3) so that its short side is `short_side`."""
    height, width = resized_size(frame.shape[0], frame.shape[1], short_side)
    return resize_frames(frame[None], height, width)[0]


def _apply_weights(frames: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Resizes along `axis` (1: rows, 2: columns)."""
    moved = np.moveaxis(frames, axis, 0)
    out = np.empty((len(weights), *moved.shape[1:]), np.uint8)
    for index, row in enumerate(weights):
        (used,) = np.nonzero(row)  # a band of few pixels, far cheaper than the whole product
        first, last = used[0], used[-1] + 1
        band = np.tensordot(
            row[first:last].astype(np.float32), moved[first:last].astype(np.float32), 1
        )
        out[index] = np.floor((band + WEIGHT_SUM // 2) / WEIGHT_SUM)
    return np.moveaxis(out, 0, axis)


# The view.


def take_view(
    frames: np.ndarray,
    clip_spec: ClipSpec,
    start: int | None = None,
    position: tuple[int, int] = CENTRE,
) -> np.ndarray:
    """Returns the clip that a model reads from the frames of a video.

    ```
    frames (N,H,W,3) -> clip_frames -> short side to `resize` -> crop -> (T,h,w,3)
    ```

    Args:
        frames: uint8 RGB array of shape (frames, height, width, 3).
        clip_spec: the clip.
        start: index of the clip's first frame; None centres the clip in the video.
        position: vertical and horizontal position of the crop: 0 is the start of the axis, 1
            its middle, 2 its end.

    Returns:
        uint8 array of shape `clip_spec.input_shape`.

    Raises:
        InvalidArgumentError: if `frames` is not a uint8 video, or `start` is out of range.

    Example:

    ```python
    clip = keras_t3d.clips.take_view(np.zeros((40, 240, 320, 3), np.uint8), keras_t3d.ClipSpec())
    clip.shape  # (16, 112, 112, 3)
    ```
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise InvalidArgumentError(
            "`frames` must be a uint8 array of shape (frames, height, width, 3), "
            "for example np.zeros((40, 240, 320, 3), np.uint8). "
            f"Received: {frames.dtype} of shape {frames.shape}",
            argument="frames",
        )
    chosen = frames[clip_frames(len(frames), clip_spec, start)]
    height, width = frames.shape[1:3]
    scaled_height, scaled_width = resized_size(height, width, clip_spec.resize)
    top, left = crop_offsets(scaled_height, scaled_width, clip_spec, position)
    crop_height, crop_width = clip_spec.crop_size
    chosen = _resize_part(chosen, scaled_height, top, crop_height, axis=1)
    return np.ascontiguousarray(_resize_part(chosen, scaled_width, left, crop_width, axis=2))


def crop_offsets(
    height: int, width: int, clip_spec: ClipSpec, position: tuple[int, int] = CENTRE
) -> tuple[int, int]:
    """Returns (top, left) of the crop in a frame of that size; `position` as in `take_view`."""
    crop_height, crop_width = clip_spec.crop_size
    return (height - crop_height) * position[0] // 2, (width - crop_width) * position[1] // 2


def view_starts(
    num_video_frames: int, clip_spec: ClipSpec, num_views: int | None = None
) -> list[int]:
    """Returns the first frames of `num_views` clips, spread over the whole video.

    One view is centred; two or more reach both ends of the video.

    Args:
        num_video_frames: number of frames in the video, at least 1.
        clip_spec: the clip.
        num_views: number of clips, at least 1; None takes as many as cover the video without
            gaps, at most 10.

    Raises:
        InvalidArgumentError: if a number is less than 1.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2)
    keras_t3d.clips.view_starts(100, clip_spec, 3)  # [0, 35, 69]
    ```
    """
    if num_views is None:
        num_views = min(-(-num_video_frames // clip_spec.span), MAX_AUTOMATIC_VIEWS)
    if num_views < 1:
        raise InvalidArgumentError(
            f"`num_views` must be at least 1. Received: {num_views}", argument="num_views"
        )
    last = last_start(num_video_frames, clip_spec)
    if num_views == 1:
        return [last // 2]
    gaps = num_views - 1
    return [(2 * view * last + gaps) // (2 * gaps) for view in range(num_views)]


def crop_positions(num_crops: int, height: int, width: int) -> list[tuple[int, int]]:
    """Returns the positions of the crops of an evaluation protocol, as `take_view` takes them.

    Args:
        num_crops: 1 (centre), 3 (along the long side) or 5 (centre and corners).
        height: height of the video, in pixels.
        width: width of the video, in pixels.

    Raises:
        InvalidArgumentError: if `num_crops` is another number.
    """
    if num_crops == 1:
        return [CENTRE]
    if num_crops == 3:
        return [(1, along) for along in range(3)] if width >= height else [(a, 1) for a in range(3)]
    if num_crops == 5:
        return [CENTRE, (0, 0), (0, 2), (2, 0), (2, 2)]
    raise InvalidArgumentError(
        "`num_crops` must be 1 (centre), 3 (along the long side) or 5 (centre and corners). "
        f"Received: {num_crops}",
        argument="num_crops",
    )
