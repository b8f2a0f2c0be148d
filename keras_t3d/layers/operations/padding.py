"""Even padding, as PyTorch pads: (size - 1) // 2 before and size // 2 after each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops


def pad_evenly(clips: Any, kernel: Any) -> Any:
    """Pads clips for a 3-D kernel, or frames for a 2-D one, with zeros."""
    sizes = kernel.shape[:-2]
    return ops.pad(clips, even_padding(sizes)) if max(sizes) > 1 else clips


def even_padding(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the padding of each axis, for a kernel or pool of the given sizes."""
    return [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)]
