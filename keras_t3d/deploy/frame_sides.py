"""The sizes of frames that a served model accepts."""

from __future__ import annotations

from typing import Any

LONGEST_SIDE = 4096  # pixels of a frame: 4K video
MOST_ASPECT = 10  # long side / short side, as resizing needs the product of both
SIDES = (
    f"frames may have sides of 1 to {LONGEST_SIDE} pixels, the long one at most {MOST_ASPECT} "
    "times the short one"
)


def can_be_viewed(height: Any, width: Any) -> Any:
    """Returns whether sides, integers or tensors of them, are in these limits."""
    within = (height > 0) & (width > 0) & (height <= LONGEST_SIDE) & (width <= LONGEST_SIDE)
    return within & (height <= MOST_ASPECT * width) & (width <= MOST_ASPECT * height)
