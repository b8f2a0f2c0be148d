"""The view as `keras_t3d` first computed it: one output row or column at a time.

`view.py` compares the speed, and the tests the bytes, of `keras_t3d.clips.take_view` with it.
"""

from __future__ import annotations

import numpy as np

from keras_t3d.clips import ClipSpec, clip_frames, crop_offsets, resize_weights, resized_size

_WEIGHT_SUM = 2048


def resize_frames(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns what `keras_t3d.clips.resize_frames` does."""
    return _resize(_resize(frames, height, 0, height, axis=1), width, 0, width, axis=2)


def take_view(
    frames: np.ndarray, spec: ClipSpec, start: int | None = None, position: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """Returns what `keras_t3d.clips.take_view` does."""
    chosen = frames[clip_frames(len(frames), spec, start)]
    height, width = resized_size(frames.shape[1], frames.shape[2], spec.resize)
    top, left = crop_offsets(height, width, spec, position)
    rows = _resize(chosen, height, top, spec.crop_size[0], axis=1)
    return np.ascontiguousarray(_resize(rows, width, left, spec.crop_size[1], axis=2))


def _resize(frames: np.ndarray, size: int, first: int, count: int, axis: int) -> np.ndarray:
    if frames.shape[axis] == size:
        return frames[(slice(None),) * axis + (slice(first, first + count),)]
    weights = resize_weights(frames.shape[axis], size, first, count)
    moved = np.moveaxis(frames, axis, 0)
    out = np.empty((len(weights), *moved.shape[1:]), np.uint8)
    for index, row in enumerate(weights):
        (used,) = np.nonzero(row)
        begin, end = used[0], used[-1] + 1
        band = np.tensordot(
            row[begin:end].astype(np.float32), moved[begin:end].astype(np.float32), 1
        )
        out[index] = np.floor((band + _WEIGHT_SUM // 2) / _WEIGHT_SUM)
    return np.moveaxis(out, 0, axis)
