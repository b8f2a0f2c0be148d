"""Pictures of anamorphic video as they are meant to look."""

from __future__ import annotations

import numpy as np
from PIL import Image


def square_pixels(pixels: np.ndarray, pixel_aspect: float) -> np.ndarray:
    """Makes a picture wider, or higher, so that its pixels are square.

    Args:
        pixels: uint8 array of shape (height, width, 3).
        pixel_aspect: float. Width of a pixel over its height.

    Returns:
        uint8 array of shape (height, width, 3), no side smaller than before.

    Example:

    ```python
    square_pixels(frame.pixels, frame.pixel_aspect)  # (576, 720, 3) -> (576, 1024, 3)
    ```
    """
    height, width = pixels.shape[:2]
    size = round(width * max(pixel_aspect, 1)), round(height / min(pixel_aspect, 1))
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
