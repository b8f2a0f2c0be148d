"""Even padding, as PyTorch pads: (size - 1) // 2 before and size // 2 after each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def pad_evenly(clips: Any, kernel: Any) -> Any:
    """Pads clips for a 3-D kernel, or frames for a 2-D one, with zeros."""
    sizes = kernel.shape[:-2]
    if max(sizes) == 1:
        return clips
    if keras.backend.backend() == "tensorflow":
        clips = unmerged(clips)  # of two Pads before a Conv3D, one would be lost
    return ops.pad(clips, even_padding(sizes))


def unmerged(x: Any) -> Any:
    """Keeps TensorFlow's graph optimizer from merging the operations before and after a tensor.

    That of TensorFlow 2.21 merges Pad, Conv3D and a LeakyReLU, and loses the slope. This copies
    nothing. After the convolution it leaves Pad and Conv3D merged, a quarter faster than apart.
    """
    import tensorflow as tf

    return tf.ensure_shape(x, x.shape)


def even_padding(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the padding of each axis, for a kernel or pool of the given sizes."""
    return [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)]
