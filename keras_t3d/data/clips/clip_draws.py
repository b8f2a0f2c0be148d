"""Random draws for training clips, in one place for the tf.data and the NumPy form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips import order
from keras_t3d.data.clips.clip import Array
from keras_t3d.data.clips.windows import drawn_windows
from keras_t3d.errors import InvalidArgumentError

# Columns of the numbers that are drawn for a clip.
_NUMBERS = 8
_START = 0
_WINDOW = slice(1, 5)
_MIRROR = 5
_DISTORTION = slice(6, 8)


class ClipDraws(NamedTuple):
    """Random draws for one clip, or for several along a leading axis.

    Attributes:
        start: float64 (...), picks the clip's first frame.
        segments: float64 (..., num_frames), picks a frame of each segment.
        window: float64 (..., 4), see `drawn_windows`.
        mirrored: bool (...), whether the clip is mirrored.
        distortion: int64 (..., 2), seeds of colours and shapes.
    """

    start: Array
    segments: Array
    window: Array
    mirrored: Array
    distortion: Array


def draw_clips(
    seed: int, epoch: int, positions: np.ndarray, num_frames: int, augmentation: Augmentation
) -> ClipDraws:
    """Returns the draws for the clips at these positions of an epoch.

    Args:
        seed: seed of the reader.
        epoch: index of the epoch, from 0.
        positions: integers (n,), positions of clips in the epoch, `repeats` clips per video.
        num_frames: frames in a clip.
        augmentation: how windows and flips are drawn.

    Returns:
        ClipDraws with a leading axis of n.
    """
    numbers = order.draws(seed, epoch, order.CLIPS, positions, _NUMBERS)
    return ClipDraws(
        start=numbers[:, _START],
        segments=order.draws(seed, epoch, order.SEGMENTS, positions, num_frames),
        window=drawn_windows(numbers[:, _WINDOW], augmentation),
        mirrored=(numbers[:, _MIRROR] < 0.5) & augmentation.flip,
        distortion=(numbers[:, _DISTORTION] * 2**31).astype(np.int64),
    )


def unmirrored_ids(augmentation: Augmentation, class_names: tuple[str, ...]) -> list[int]:
    """Returns the ids of `no_flip_classes`.

    Raises:
        InvalidArgumentError: if the shards have no class of one of these names.
    """
    unknown = sorted(set(augmentation.no_flip_classes) - set(class_names))
    if unknown:
        raise InvalidArgumentError(
            f"Augmentation: `no_flip_classes` must be names of the shards' classes, for example "
            f"({class_names[0]!r},). Received: {unknown}",
            argument="no_flip_classes",
        )
    return [class_names.index(name) for name in augmentation.no_flip_classes]
