"""Padding of convolutions: even, as PyTorch pads, or frame by frame as Keras pads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def pad(clips: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """Pads clips for a 3-D kernel, or frames for a 2-D one, with zeros."""
    sizes = kernel.shape[:-2]
    if max(sizes) == 1:
        return clips
    if keras.backend.backend() == "tensorflow":
        clips = unmerged(clips)  # of two Pads before a Conv3D, one would be lost
    return ops.pad(clips, paddings(padding, clips.shape[1:-1], sizes, strides))


def unmerged(x: Any) -> Any:
    """Keeps TensorFlow's graph optimizer from merging the operations before and after a tensor.

    That of TensorFlow 2.21 merges Pad, Conv3D and a LeakyReLU, and loses the slope. This copies
    nothing. After the convolution it leaves Pad and Conv3D merged, a quarter faster than apart.
    """
    import tensorflow as tf

    return tf.ensure_shape(x, x.shape)


def paddings(
    padding: str, sides: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Returns the zeros before and after each axis, batch and channels included.

    Args:
        padding: `"even"`, (size - 1) // 2 before and size // 2 after; or `"same_frames"`: height
            and width as Keras's `"same"`, which depends on sides and strides, and time evenly.
        sides: sides of the input.
        sizes: sides of the kernel.
        strides: strides along the same axes.
    """
    if padding == "even":
        return even_padding(sizes)
    evenly = even_padding(sizes)
    pairs = []
    for side, size, stride in list(zip(sides, sizes, strides, strict=True))[-2:]:
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        pairs.append((total // 2, total - total // 2))
    return [*evenly[:-3], *pairs, (0, 0)]


def even_padding(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the padding of each axis, for a kernel or pool of the given sizes."""
    return [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)]
