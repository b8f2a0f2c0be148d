"""Padding of convolutions and pools: frames as PyTorch or Keras pads, time evenly or before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@dataclasses.dataclass(frozen=True)
class Padding:
    """How clips are padded for a kernel or pool of some size.

    Attributes:
        frames: `"even"`, (size - 1) // 2 before and size // 2 after; or `"same_frames"`, height and
            width as Keras's `"same"`, which depends on sides and strides.
        time: `"even"`; `"causal"`, size - stride before and none after, so that a window ends with
            the last of the frames that one more output takes; or `"valid"`, none.
    """

    frames: str = "even"
    time: str = "even"

    def of_time(self, size: int, stride: int) -> tuple[int, int]:
        """Returns the frames before and after a clip."""
        if self.time == "even":
            return (size - 1) // 2, size // 2
        return (max(size - stride, 0) if self.time == "causal" else 0), 0


def without_unread_frames(
    clips: Any, size: int, stride: int, padding: Padding
) -> tuple[Any, Padding]:
    """Drops the first frames where a causal window is shorter than its stride, and reads no past.

    Returns:
        The clips and their padding.
    """
    if padding.time != "causal" or size >= stride:
        return clips, padding
    return clips[:, stride - size :], dataclasses.replace(padding, time="valid")


def pad(clips: Any, kernel: Any, strides: Sequence[int], padding: Padding) -> Any:
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
    padding: Padding, sides: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Returns the zeros before and after each axis, batch and channels included.

    Args:
        padding: the rule.
        sides: sides of the input: (height, width), or (time, height, width).
        sizes: sides of the kernel.
        strides: strides along the same axes.
    """
    of_time = [padding.of_time(sizes[0], strides[0])] if len(sizes) == 3 else []
    of_frames = []
    for side, size, stride in list(zip(sides, sizes, strides, strict=True))[-2:]:
        before, after = (size - 1) // 2, size // 2
        if padding.frames == "same_frames":
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            before, after = total // 2, total - total // 2
        of_frames.append((before, after))
    return [(0, 0), *of_time, *of_frames, (0, 0)]
