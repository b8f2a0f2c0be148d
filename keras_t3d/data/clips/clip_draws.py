"""What is drawn for training clips: one place for both readers, tf.data's and NumPy's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips import order
from keras_t3d.data.clips.windows import drawn_windows, is_mirrored

Array = Any  # NumPy's, or TensorFlow's where a dataset carries them


class ClipDraws(NamedTuple):
    """Random choices of clips, or of one clip; the leading axes are the clips'.

    Attributes:
        start: float64 (...). Picks the clip's first frame.
        segments: float64 (..., num_frames). Pick a frame of each segment.
        window: float64 (..., 4). See `drawn_windows`.
        mirrored: bool (...).
        distortion: int64 (..., 2). Seeds of colours and shapes.
    """

    start: Array
    segments: Array
    window: Array
    mirrored: Array
    distortion: Array


def draw_clips(
    seed: int, epoch: int, positions: np.ndarray, num_frames: int, augmentation: Augmentation
) -> ClipDraws:
    """Draws for the clips at these places of an epoch.

    Args:
        seed: int.
        epoch: int, from 0.
        positions: ints (n,). Places of clips in the epoch, `repeats` clips a video.
        num_frames: int. Frames in a clip.
        augmentation: Augmentation.

    Returns:
        ClipDraws with a leading axis of n.
    """
    numbers = order.draws(seed, epoch, positions)
    return ClipDraws(
        start=numbers[:, order.START],
        segments=order.segment_draws(seed, epoch, positions, num_frames),
        window=drawn_windows(numbers[:, order.WINDOW], augmentation),
        mirrored=is_mirrored(numbers[:, order.MIRROR], augmentation),
        distortion=(numbers[:, order.DISTORTION] * 2**31).astype(np.int64),
    )


def unmirrored_ids(augmentation: Augmentation, class_names: tuple[str, ...]) -> list[int]:
    """Returns the ids of `no_flip_classes`.

    Raises:
        ValueError: if one of them is no class of the shards.
    """
    unknown = sorted(set(augmentation.no_flip_classes) - set(class_names))
    if unknown:
        raise ValueError(
            f"Augmentation: `no_flip_classes` must be names of the shards' classes, for example "
            f"({class_names[0]!r},). Received: {unknown}, which are none of them"
        )
    return [class_names.index(name) for name in augmentation.no_flip_classes]
