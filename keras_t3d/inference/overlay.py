"""Pictures for display: square pixels, and class names drawn over them."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from keras_t3d.fonts import PillowFont, bundled_font

_PANEL = (16, 20, 28, 190)  # red, green, blue, opacity
_TEXT = (255, 255, 255, 255)
_BAR = (60, 150, 250, 255)
_MIN_FONT_SIZE, _MAX_FONT_SIZE = 9, 40  # pixels


def draw_classes(
    pixels: np.ndarray,
    classes: tuple[tuple[str, float], ...],
    fonts: tuple[str, ...] | None = None,
) -> np.ndarray:
    """Draws classes and probabilities into the upper left corner of a picture.

    Args:
        pixels: uint8 array (height, width, 3), RGB; it is not changed.
        classes: (class name, probability) pairs; empty draws `…`.
        fonts: see `find_fonts`; None for the usual font alone.

    Returns:
        uint8 array of the same shape.

    Example:

    ```python
    draw_classes(np.zeros((240, 320, 3), np.uint8), (("golf", 0.93), ("pour", 0.04)))
    ```
    """
    rows = tuple((name, round(100 * probability)) for name, probability in classes)
    colour, opacity = _panel(rows, fonts or (bundled_font(),), *pixels.shape[:2])
    height, width = opacity.shape[:2]
    result = pixels.copy()
    below = result[:height, :width].astype(np.uint16)
    result[:height, :width] = (colour * opacity + below * (255 - opacity) + 127) // 255
    return result


def to_square_pixels(pixels: np.ndarray, pixel_aspect: float) -> np.ndarray:
    """Stretches a picture of an anamorphic video so that its pixels are square.

    Args:
        pixels: uint8 array (height, width, 3).
        pixel_aspect: width of a pixel divided by its height.

    Returns:
        uint8 array (height, width, 3); no side is smaller than before.

    Example:

    ```python
    to_square_pixels(np.zeros((576, 720, 3), np.uint8), 64 / 45).shape  # (576, 1024, 3)
    ```
    """
    height, width = pixels.shape[:2]
    size = round(width * max(pixel_aspect, 1)), round(height / min(pixel_aspect, 1))
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


@functools.lru_cache(maxsize=4)  # the classes change once per window, not once per frame
def _panel(
    classes: tuple[tuple[str, int], ...], fonts: tuple[str, ...], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour (h, w, 3) and opacity (h, w, 1), uint16, of a panel that fits the picture."""
    font_size = min(max(min(height, width) // 18, _MIN_FONT_SIZE), _MAX_FONT_SIZE)
    rows = [(name, f"{percent} %", percent) for name, percent in classes] or [("…", "", 0)]
    font = PillowFont(fonts, font_size)
    ascent = font.usual.getmetrics()[0]
    pad, line = font_size // 2, round(font_size * 1.7)
    number_width = round(max(font.length(number) for _, number, _ in rows))
    max_width = max(width - number_width - 4 * pad, 1)
    # A line break would overlap the next class.
    names = [font.fitting(" ".join(name.split()), max_width) for name, _, _ in rows]
    name_width = round(max(font.length(name) for name in names))
    size = (min(name_width + number_width + 4 * pad, width), min(line * len(rows) + pad, height))
    image = Image.new("RGBA", size, _PANEL)
    draw = ImageDraw.Draw(image)
    for row, (name, (_, number, percent)) in enumerate(zip(names, rows, strict=True)):
        top = pad + row * line
        font.draw(draw, (pad, top + ascent), name, _TEXT)
        draw.text((size[0] - pad, top), number, _TEXT, font.usual, anchor="ra")
        bar = round((size[0] - 2 * pad) * percent / 100)
        if bar > 0:
            bar_top = top + round(font_size * 1.3)
            thickness = max(font_size // 8, 1)
            draw.rectangle((pad, bar_top, pad + bar - 1, bar_top + thickness - 1), _BAR)
    panel = np.asarray(image).astype(np.uint16)
    return panel[..., :3], panel[..., 3:]
