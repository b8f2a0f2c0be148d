"""Charts of a report as PNG: confusion matrix, reliability diagram, curves of two classes."""

from __future__ import annotations

import dataclasses
import io
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_t3d.evaluation.two_class_curves import TwoClassCurves
from keras_t3d.fonts import font_families, without_glyph_warnings


@dataclasses.dataclass(frozen=True)
class Palette:
    """Colours of a chart, as `#rrggbb`."""

    background: str
    text: str
    lines: str
    data: str
    gap: str


LIGHT = Palette(
    background="#ffffff", text="#1c2430", lines="#c9d1db", data="#0b4f9e", gap="#c2410c"
)
DARK = Palette(background="#161b22", text="#dfe6ee", lines="#465160", data="#6cb6ff", gap="#f0883e")

_DPI = 100
_MAX_NAMED = 400  # classes


def draw_confusion_matrix(
    counts: np.ndarray,
    names: Sequence[str],
    palette: Palette = LIGHT,
    families: Sequence[str] | None = None,
) -> bytes:
    """Draws a confusion matrix: one row per true class, one column per predicted class.

    The colour of a cell shows its share of the row. Up to 400 classes are named on both axes, up
    to 25 have counts in the cells.

    Args:
        counts: int64 array (true classes, predicted classes).
        names: one name per class.
        palette: colours.
        families: fonts of the names; None for `font_families(names)`.

    Returns:
        The content of a PNG file.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure  # pyplot would have global state and need a display

    classes = len(names)
    has_names = classes <= _MAX_NAMED
    labels = [name if len(name) <= 28 else f"{name[:27]}…" for name in names] if has_names else [""]
    cell = float(np.clip(720 / classes, 9, 44)) if has_names else 9 * _MAX_NAMED / classes  # pixels
    font_size = float(np.clip(0.62 * cell, 5, 9))  # points
    margin = 40 + max(map(_width, labels)) * font_size * _DPI / 72  # space for the longest name
    side = margin + classes * cell + 12
    figure = Figure(figsize=(side / _DPI, side / _DPI), dpi=_DPI, facecolor=palette.background)
    within = (margin / side, margin / side, classes * cell / side, classes * cell / side)
    axes = figure.add_axes(within, facecolor=palette.background)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strength = shares**0.6  # makes rare confusions visible
    colours = LinearSegmentedColormap.from_list("share", [palette.background, palette.data])
    axes.imshow(strength, cmap=colours, vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    positions = range(classes) if has_names else []
    # Matplotlib would parse dollar signs in names as formulas.
    style: dict[str, Any] = {"fontsize": font_size, "color": palette.text, "parse_math": False}
    style["fontfamily"] = families or font_families(labels)
    axes.set_xticks(positions, labels if has_names else [], rotation=90, **style)
    axes.set_yticks(positions, labels if has_names else [], **style)
    axes.tick_params(length=0, pad=3)
    axes.set_xlabel("predicted class", color=palette.text)
    axes.set_ylabel("true class", color=palette.text)
    if has_names:
        borders = np.arange(classes + 1) - 0.5
        axes.set_xticks(borders, minor=True)
        axes.set_yticks(borders, minor=True)
        axes.tick_params(which="minor", length=0)
        axes.grid(which="minor", color=palette.lines, linewidth=0.4 if cell > 12 else 0.2)
    for spine in axes.spines.values():
        spine.set_color(palette.lines)
    if classes <= 25:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = palette.background if strength[row, column] > 0.5 else palette.text
                axes.text(
                    column, row, str(count), ha="center", va="center", fontsize=9, color=colour
                )
    return _save_png(figure)


def draw_reliability_diagram(bins: Sequence[dict[str, Any]], palette: Palette = LIGHT) -> bytes:
    """Draws a reliability diagram: accuracy and number of videos by confidence.

    Args:
        bins: `bins` of `compute_calibration`.
        palette: colours.

    Returns:
        The content of a PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(5.2, 5.6), dpi=_DPI, layout="constrained", facecolor=palette.background
    )
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    width = 1 / len(bins)
    filled = [entry for entry in bins if entry["videos"]]
    left = [entry["above"] for entry in filled]
    accuracy = np.array([entry["accuracy"] for entry in filled])
    confidence = np.array([entry["confidence"] for entry in filled])
    above.bar(left, accuracy, width, align="edge", color=palette.data, edgecolor=palette.background)
    above.plot([0, 1], [0, 1], color=palette.text, linestyle="--", linewidth=1)
    above.vlines(confidence, accuracy, confidence, color=palette.gap, linewidth=2)
    above.plot(confidence, confidence, "o", color=palette.gap, markersize=4)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    below.bar(
        [entry["above"] for entry in bins],
        [entry["videos"] for entry in bins],
        width,
        align="edge",
        color=palette.lines,
        edgecolor=palette.background,
    )
    below.set(xlabel="confidence: probability of the predicted class", ylabel="videos")
    below.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    for axes in (above, below):
        _colour(axes, palette)
    return _save_png(figure)


def draw_two_class_curves(curves: TwoClassCurves, palette: Palette = LIGHT) -> bytes:
    """Draws ROC and precision-recall curves side by side, with what guessing gives.

    Args:
        curves: see `two_class_curves`.
        palette: colours.

    Returns:
        The content of a PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(9.2, 4.4), dpi=_DPI, layout="constrained", facecolor=palette.background
    )
    roc, precision = figure.subplots(1, 2)
    style: dict[str, Any] = {"color": palette.data, "linewidth": 2}
    guess: dict[str, Any] = {"color": palette.text, "linestyle": "--", "linewidth": 1}
    roc.plot(curves.false_positive_rate, curves.true_positive_rate, **style)
    roc.plot([0, 1], [0, 1], **guess)
    roc.set(xlabel="false positive rate", ylabel="true positive rate")
    precision.step(curves.recall, curves.precision, where="post", **style)
    precision.plot([0, 1], [curves.share, curves.share], **guess)
    precision.set(xlabel="recall", ylabel="precision")
    for axes in (roc, precision):
        axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        _colour(axes, palette)
    return _save_png(figure)


def _colour(axes: Any, palette: Palette) -> None:
    axes.set_facecolor(palette.background)
    axes.tick_params(colors=palette.text)
    axes.xaxis.label.set_color(palette.text)
    axes.yaxis.label.set_color(palette.text)
    axes.grid(color=palette.lines, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(palette.lines)


def _width(text: str) -> float:
    """Returns the width of a text, about, in font sizes."""
    return sum(1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.64 for letter in text)


def _save_png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with without_glyph_warnings():
        figure.savefig(
            buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None}
        )
    return buffer.getvalue()
