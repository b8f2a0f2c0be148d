"""Fonts that have the characters of class names, whatever their script."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import unicodedata
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from keras_t3d.errors import KerasT3DWarning

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry
    from PIL import ImageDraw, ImageFont

_PLACEHOLDERS = ("Last Resort", ".LastResort", "Adobe Blank")  # boxes for every character
_INVISIBLE = ("C", "Z")  # categories: controls, formats and surrogates; spaces
_MOST_NAMED = 20  # characters


class FontWarning(KerasT3DWarning):
    """No font on this machine has some characters; the message names them."""


def bundled_font(name: str = "DejaVuSans") -> str:
    """Returns the path of a font that Matplotlib brings."""
    import matplotlib

    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")


def find_fonts(texts: Iterable[str], usual: str | None = None) -> tuple[str, ...]:
    """Finds fonts that together have the characters of some texts, on this machine.

    Where one font has all that the usual one lacks, it is the only one added.

    Args:
        texts: for example class names.
        usual: path of the font to use wherever it suffices; None for `bundled_font()`.

    Returns:
        Paths of font files: the usual one, then those added, if any.

    Example:

    ```python
    find_fonts(["golf", "走る"])  # (".../DejaVuSans.ttf", ".../NotoSansCJK-Regular.ttc")
    ```
    """
    usual = usual or bundled_font()
    lacking = _visible(texts) - _characters(usual)
    return (usual, *_find_added(lacking, _candidates())) if lacking else (usual,)


def warn_of_missing_characters(texts: Iterable[str], fonts: Iterable[str]) -> None:
    """Warns once of all characters of some texts that no font has, with a package that would.

    Args:
        texts: the texts to draw.
        fonts: paths, see `find_fonts`.
    """
    missing = sorted(_visible(texts).difference(*map(_characters, fonts)))
    if not missing:
        return
    wide = [character for character in missing if unicodedata.east_asian_width(character) in "WF"]
    packages = [
        *(["fonts-noto-cjk"] if wide else []),
        *(["fonts-noto-core"] if wide != missing else []),
    ]
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    warnings.warn(
        f"No font on this machine has the characters {' '.join(missing[:_MOST_NAMED])}{more}, so "
        "pictures show boxes instead. Install a font of their script, for example the package "
        f"{' and '.join(packages)}",
        FontWarning,
        stacklevel=3,
    )


def font_families(texts: Collection[str]) -> list[str]:
    """Returns fonts for Matplotlib that have the characters of some texts; warns if none has.

    Example:

    ```python
    import matplotlib.figure

    families = font_families(["golf", "走る"])
    matplotlib.figure.Figure().text(0.5, 0.5, "走る", fontfamily=families)
    ```
    """
    import matplotlib
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    fonts = find_fonts(texts, str(findfont(FontProperties())))
    warn_of_missing_characters(texts, fonts)
    for path in fonts[1:]:
        if path not in {entry.fname for entry in fontManager.ttflist}:
            fontManager.addfont(path)  # it was installed after Matplotlib listed the fonts
    names = {entry.fname: entry.name for entry in fontManager.ttflist if _is_first(entry)}
    return [*matplotlib.rcParams["font.family"], *(names[path] for path in fonts[1:])]


@contextlib.contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Silences Matplotlib, which names a line of ours and one character per warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


class PillowFont:
    """Fonts of one size, to draw texts of any script with Pillow.

    Args:
        fonts: paths; each character is drawn with the first font that has it.
        size: height in pixels.

    Example:

    ```python
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (200, 40), "white")
    font = PillowFont(find_fonts(["golf", "走る"]), 14)
    font.draw(ImageDraw.Draw(image), (8, 20), "走る", "black")
    ```
    """

    def __init__(self, fonts: tuple[str, ...], size: int) -> None:
        from PIL import ImageFont

        self._fonts = {path: ImageFont.truetype(path, size) for path in fonts}

    @property
    def usual(self) -> ImageFont.FreeTypeFont:
        """The first font."""
        return next(iter(self._fonts.values()))

    def length(self, text: str) -> float:
        """Returns the width of a text in pixels."""
        return sum(font.getlength(part) for font, part in self._runs(text))

    def fitting(self, text: str, width: float) -> str:
        """Returns a text, cut at its end with `…` where it is wider than so many pixels."""
        if self.length(text) <= width:
            return text
        while text and self.length(f"{text}…") > width:
            text = text[:-1]
        return f"{text}…"

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        start: tuple[float, float],
        text: str,
        fill: str | tuple[int, ...],
    ) -> None:
        """Draws a text from the left end of its baseline."""
        left, baseline = start
        for font, part in self._runs(text):
            draw.text((left, baseline), part, fill, font, anchor="ls")
            left += font.getlength(part)

    def _runs(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Yields the parts of a text that one font draws."""
        paths = list(self._fonts)
        for path, part in itertools.groupby(
            text,
            lambda character: next((p for p in paths if character in _characters(p)), paths[0]),
        ):
            yield self._fonts[path], "".join(part)


def _visible(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(
        character
        for character in set().union(*texts)
        if unicodedata.category(character)[0] not in _INVISIBLE
        and not unicodedata.name(character, "").startswith("VARIATION SELECTOR")
    )


def _candidates() -> tuple[str, ...]:
    """Returns the font files of this machine, upright sans-serif fonts of normal weight first."""
    from matplotlib import font_manager

    entries = list(font_manager.fontManager.ttflist)
    listed = {entry.fname for entry in entries}
    for path in font_manager.findSystemFonts():  # Matplotlib's list may be older than a font
        if path not in listed:
            try:
                entries.append(font_manager.ttfFontProperty(font_manager.get_font(path)))
            except (OSError, RuntimeError, NotImplementedError):  # no font that can be scaled
                continue
    usable = [
        entry for entry in entries if _is_first(entry) and not entry.name.startswith(_PLACEHOLDERS)
    ]
    return tuple(dict.fromkeys(entry.fname for entry in sorted(usable, key=_unlikeness)))


def _is_first(entry: FontEntry) -> bool:
    """Whether a font is the first of its file; Matplotlib before 3.11 lists no others."""
    return getattr(entry, "index", 0) == 0


def _unlikeness(entry: FontEntry) -> tuple[bool, float, bool, bool, str]:
    """Returns a key that sorts fonts like the usual one first."""
    from matplotlib.font_manager import weight_dict

    weight = weight_dict.get(entry.weight, 400) if isinstance(entry.weight, str) else entry.weight
    name = entry.name
    return (
        entry.style != "normal",
        abs(weight - 400),
        "Mono" in name,
        "Sans" not in name,
        entry.fname,
    )


@functools.lru_cache(maxsize=64)
def _find_added(lacking: frozenset[str], candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the first font that has all characters, or else few that have as many as any."""
    had = {}
    for path in candidates:
        had[path] = lacking & _characters(path)
        if had[path] == lacking:
            return (path,)
    added = []
    while had and (best := max(had, key=lambda path: len(had[path] & lacking))):
        if not had[best] & lacking:
            break
        added.append(best)
        lacking -= had[best]
    return tuple(added)


@functools.lru_cache(maxsize=16)  # a large font has 60,000
def _characters(path: str) -> frozenset[str]:
    """Returns the characters that a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
