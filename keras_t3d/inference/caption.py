"""The running classes, written over the picture."""

from __future__ import annotations

import functools
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_PANEL = (16, 20, 28, 190)  # red, green, blue, opacity
_INK = (255, 255, 255, 255)
_BAR = (60, 150, 250, 255)
_SMALLEST_LETTERS, _LARGEST_LETTERS = 9, 40  # pixels


def captioned(pixels: np.ndarray, classes: tuple[tuple[str, float], ...]) -> np.ndarray:
    """Writes classes and probabilities into the upper left corner of a picture.

    Args:
        pixels: uint8 array of shape (height, width, 3), RGB. Not changed.
        classes: (class name, probability) pairs; none where nothing is known yet.

    Returns:
        uint8 array of the same shape.

    Example:

    ```python
    captioned(frame, (("golf", 0.93), ("pour", 0.04)))
    ```
    """
    shown = tuple((name, round(100 * probability)) for name, probability in classes)
    colour, opacity = _panel(shown, *pixels.shape[:2])
    height, width = opacity.shape[:2]
    result = pixels.copy()
    below = result[:height, :width].astype(np.uint16)
    result[:height, :width] = (colour * opacity + below * (255 - opacity) + 127) // 255
    return result


@functools.lru_cache(maxsize=4)  # the classes change once a window, not once a frame
def _panel(
    shown: tuple[tuple[str, int], ...], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns colour (h, w, 3) and opacity (h, w, 1), uint16, of a panel that fits the picture."""
    letters = min(max(min(height, width) // 18, _SMALLEST_LETTERS), _LARGEST_LETTERS)
    font = _font(letters)
    rows = [(name, f"{percent} %", percent) for name, percent in shown] or [("…", "", 0)]
    pad, line = letters // 2, round(letters * 1.7)
    number_width = round(max(font.getlength(number) for _, number, _ in rows))
    most = max(width - number_width - 4 * pad, 1)
    names = [_shortened(name, font, most) for name, _, _ in rows]
    name_width = round(max(font.getlength(name) for name in names))
    size = (min(name_width + number_width + 4 * pad, width), min(line * len(rows) + pad, height))
    image = Image.new("RGBA", size, _PANEL)
    draw = ImageDraw.Draw(image)
    for row, (name, (_, number, percent)) in enumerate(zip(names, rows, strict=True)):
        top = pad + row * line
        draw.text((pad, top), name, _INK, font)
        draw.text((size[0] - pad, top), number, _INK, font, anchor="ra")
        bar = round((size[0] - 2 * pad) * percent / 100)
        if bar > 0:
            under = top + round(letters * 1.3)
            thick = max(letters // 8, 1)
            draw.rectangle((pad, under, pad + bar - 1, under + thick - 1), _BAR)
    panel = np.asarray(image).astype(np.uint16)
    return panel[..., :3], panel[..., 3:]


def _shortened(name: str, font: ImageFont.FreeTypeFont, most: int) -> str:
    name = " ".join(name.split())  # a line break would run into the next class
    if font.getlength(name) <= most:
        return name
    while name and font.getlength(f"{name}…") > most:
        name = name[:-1]
    return f"{name}…"


@functools.lru_cache(maxsize=4)
def _font(letters: int) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    # Matplotlib brings it along; it has Latin, Greek and Cyrillic letters.
    return ImageFont.truetype(os.path.join(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), letters)
