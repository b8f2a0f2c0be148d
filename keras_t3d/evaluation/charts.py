"""The pictures of a report: confusion matrix and reliability diagram, as PNG."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of a chart, as `#rrggbb`."""

    paper: str
    ink: str
    faint: str
    strong: str
    gap: str


LIGHT = Palette(paper="#ffffff", ink="#1c2430", faint="#c9d1db", strong="#0b4f9e", gap="#c2410c")
DARK = Palette(paper="#161b22", ink="#dfe6ee", faint="#465160", strong="#6cb6ff", gap="#f0883e")

_DPI = 100
_MOST_NAMED = 400  # classes


def confusion_png(counts: np.ndarray, names: Sequence[str], palette: Palette = LIGHT) -> bytes:
    """Draws a confusion matrix: a row a true class, a column a predicted one.

    The stronger a cell's colour, the larger its share of its row. Up to 400 classes have
    their names at both axes, up to 25 their counts in the cells.

    Args:
        counts: int64 array (true classes, predicted classes).
        names: str, one a class.
        palette: Palette. Defaults to `LIGHT`.

    Returns:
        The PNG file.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure  # no pyplot: nothing global, no display

    classes = len(names)
    named = classes <= _MOST_NAMED
    shown = [name if len(name) <= 28 else f"{name[:27]}…" for name in names] if named else [""]
    cell = float(np.clip(720 / classes, 9, 44)) if named else 9 * _MOST_NAMED / classes  # pixels
    letters = float(np.clip(0.62 * cell, 5, 9))  # points
    # Room for the longest name, whose letters are at most as wide as 0.62 of their height.
    margin = 40 + max(map(len, shown)) * letters * 0.64 * _DPI / 72
    side = margin + classes * cell + 12
    figure = Figure(figsize=(side / _DPI, side / _DPI), dpi=_DPI, facecolor=palette.paper)
    within = (margin / side, margin / side, classes * cell / side, classes * cell / side)
    axes = figure.add_axes(within, facecolor=palette.paper)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strength = shares**0.6  # few confusions are seen, too
    colours = LinearSegmentedColormap.from_list("share", [palette.paper, palette.strong])
    axes.imshow(strength, cmap=colours, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    places = range(classes) if named else []
    # A name is text, also where it holds dollar signs, which Matplotlib reads as formulas.
    style: dict[str, Any] = {"fontsize": letters, "color": palette.ink, "parse_math": False}
    axes.set_xticks(places, shown if named else [], rotation=90, **style)
    axes.set_yticks(places, shown if named else [], **style)
    axes.tick_params(length=0, pad=3)
    axes.set_xlabel("predicted class", color=palette.ink)
    axes.set_ylabel("true class", color=palette.ink)
    if named:
        borders = np.arange(classes + 1) - 0.5
        axes.set_xticks(borders, minor=True)
        axes.set_yticks(borders, minor=True)
        axes.tick_params(which="minor", length=0)
        axes.grid(which="minor", color=palette.faint, linewidth=0.4 if cell > 12 else 0.2)
    for spine in axes.spines.values():
        spine.set_color(palette.faint)
    if classes <= 25:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = palette.paper if strength[row, column] > 0.5 else palette.ink
                axes.text(
                    column, row, str(count), ha="center", va="center", fontsize=9, color=colour
                )
    return _png(figure)


def reliability_png(bins: Sequence[dict[str, Any]], palette: Palette = LIGHT) -> bytes:
    """Draws a reliability diagram: accuracy by confidence, and how many videos each bin has.

    Args:
        bins: what `calibration` gives as `bins`.
        palette: Palette. Defaults to `LIGHT`.

    Returns:
        The PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.6), dpi=_DPI, layout="constrained", facecolor=palette.paper)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    width = 1 / len(bins)
    filled = [entry for entry in bins if entry["videos"]]
    left = [entry["above"] for entry in filled]
    accuracy = np.array([entry["accuracy"] for entry in filled])
    confidence = np.array([entry["confidence"] for entry in filled])
    above.bar(left, accuracy, width, align="edge", color=palette.strong, edgecolor=palette.paper)
    above.plot([0, 1], [0, 1], color=palette.ink, linestyle="--", linewidth=1)
    above.vlines(confidence, accuracy, confidence, color=palette.gap, linewidth=2)
    above.plot(confidence, confidence, "o", color=palette.gap, markersize=4)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    below.bar(
        [entry["above"] for entry in bins],
        [entry["videos"] for entry in bins],
        width,
        align="edge",
        color=palette.faint,
        edgecolor=palette.paper,
    )
    below.set(xlabel="confidence: probability of the predicted class", ylabel="videos")
    below.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    for axes in (above, below):
        axes.set_facecolor(palette.paper)
        axes.tick_params(colors=palette.ink)
        axes.xaxis.label.set_color(palette.ink)
        axes.yaxis.label.set_color(palette.ink)
        axes.grid(color=palette.faint, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color(palette.faint)
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Its font lacks some scripts: a box stands there, which is seen.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(
            buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None}
        )
    return buffer.getvalue()
