"""Plots the classes of a video over time."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from keras_t3d.atomic import check_file_path, written_beside
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.fonts import font_families, without_glyph_warnings
from keras_t3d.inference.window_prediction import WindowPrediction

_MAX_POINTS = 2000  # more than the plot has pixels
_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
_MAX_TICKS = 12


class Timeline:
    """Collects the predictions of windows and plots the top classes over time.

    Memory does not grow with the video: neighbouring windows are averaged if there are more than
    `max_points`.

    Args:
        class_names: one name per class.
        max_points: maximum number of points, even.

    Example:

    ```python
    predictor = load_predictor("t3d.tflite")
    timeline = Timeline(predictor.class_names)
    for window in stream_video(predictor, "film.mp4"):
        timeline.add(window)
    timeline.save("timeline.png")
    ```
    """

    def __init__(self, class_names: Sequence[str], max_points: int = _MAX_POINTS) -> None:
        self._names = class_names
        self._max_points = max_points
        self._windows_per_point = 1
        self._points: list[_Point] = []

    def add(self, window: WindowPrediction) -> None:
        """Adds the prediction of the next window."""
        if self._points and self._points[-1].windows < self._windows_per_point:
            self._points[-1].add(window.start, window.end, window.probabilities, 1)
            return
        if len(self._points) == self._max_points:
            for even, odd in zip(self._points[::2], self._points[1::2], strict=True):
                even.add(odd.start, odd.end, odd.total, odd.windows)
            self._points = self._points[::2]
            self._windows_per_point *= 2
        self._points.append(_Point(window.start, window.end, window.probabilities))

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the middles of the points in seconds, and their probabilities by class."""
        times = np.array([(point.start + point.end) / 2 for point in self._points])
        return times, np.stack([point.total / point.windows for point in self._points])

    def save(self, path: str | os.PathLike[str], top: int = 5, title: str = "") -> None:
        """Writes the plot as a PNG file.

        Args:
            path: path that ends in `.png`.
            top: how many classes to plot: those with the highest maximum over time.
            title: title of the plot.

        Raises:
            InvalidArgumentError: if the path does not end in `.png`, or no window was added.
        """
        check_file_path(path, "path", "timeline.png")
        if not self._points:
            raise InvalidArgumentError("A timeline needs at least one window: call `add` first")
        from matplotlib.figure import Figure  # pyplot would have global state and need a display
        from matplotlib.ticker import FuncFormatter, MultipleLocator

        times, probabilities = self.curves()
        plotted = np.argsort(-probabilities.max(axis=0), kind="stable")[:top]
        figure = Figure(figsize=(12, 4.5), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        marker = "o" if len(times) <= 60 else ""  # a single window is a point, not a line
        for index in plotted:
            axes.plot(times, probabilities[:, index], marker=marker, markersize=4)
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("probability")
        axes.set_xlabel("time")
        span = max(times[-1] - times[0], 1.0)
        step = next((step for step in _TICK_STEPS if step >= span / _MAX_TICKS), span / _MAX_TICKS)
        axes.xaxis.set_major_locator(MultipleLocator(step))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: format_time(seconds)))
        axes.grid(alpha=0.3)
        names = [self._names[index] for index in plotted]
        labels = [name if len(name) <= 32 else f"{name[:31]}…" for name in names]
        families = font_families([title, *labels])
        # Matplotlib would parse dollar signs in names as formulas.
        axes.set_title(title, loc="left", fontsize=10, fontfamily=families, parse_math=False)
        legend = figure.legend(axes.get_lines(), labels, loc="outside right upper", frameon=False)
        for text in legend.get_texts():
            text.set_fontfamily(families)
            text.set_parse_math(False)
        with written_beside(path) as part, without_glyph_warnings():
            figure.savefig(part, format="png")


def format_time(seconds: float) -> str:
    """Formats a time as `1:02:03.5` or `0:07`; tenths of a second only if they are not 0."""
    tenths = math.floor(10 * seconds + 0.5)
    minutes, rest = divmod(abs(tenths), 600)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, 10)
    text = f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
    return f"{'-' if tenths < 0 else ''}{text}{f'.{part}' if part else ''}"


class _Point:
    """Neighbouring windows: their time span, number, and sum of probabilities."""

    def __init__(self, start: float, end: float, total: np.ndarray) -> None:
        self.start, self.end, self.total, self.windows = start, end, total, 1

    def add(self, start: float, end: float, total: np.ndarray, windows: int) -> None:
        self.start, self.end = min(self.start, start), max(self.end, end)
        self.total, self.windows = self.total + total, self.windows + windows
