"""The picture of a video's classes over time."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_t3d.atomic import written_beside
from keras_t3d.inference.stream import WindowScores

_MOST_POINTS = 2000  # more than the picture is wide
_STEPS = (
    0.1,
    0.2,
    0.5,
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 21600, 86400),
)
_MOST_TICKS = 12


class Timeline:
    """Collects the scores of windows and draws the top classes' probability over time.

    Memory stays flat: where a video has more windows than the picture has room for,
    neighbours are averaged.

    Args:
        class_names: str, one a class.
        most_points: int, even. Points kept. Defaults to `2000`.

    Example:

    ```python
    timeline = Timeline(predictor.class_names)
    for scores in stream_video(predictor, "film.mp4"):
        timeline.add(scores)
    timeline.save("timeline.png")
    ```
    """

    def __init__(self, class_names: Sequence[str], most_points: int = _MOST_POINTS) -> None:
        self._names = class_names
        self._most_points = most_points
        self._each = 1  # windows in a point
        self._points: list[_Point] = []

    def add(self, scores: WindowScores) -> None:
        """Takes the next window's scores."""
        if self._points and self._points[-1].windows < self._each:
            self._points[-1].add(scores.start, scores.end, scores.probabilities, 1)
            return
        if len(self._points) == self._most_points:
            for even, odd in zip(self._points[::2], self._points[1::2], strict=True):
                even.add(odd.start, odd.end, odd.total, odd.windows)
            self._points = self._points[::2]
            self._each *= 2
        self._points.append(_Point(scores.start, scores.end, scores.probabilities))

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the points' times, float (points,), the middles of their windows in seconds,
        and their probabilities, float (points, classes)."""
        times = np.array([(point.start + point.end) / 2 for point in self._points])
        return times, np.stack([point.total / point.windows for point in self._points])

    def save(self, path: str | os.PathLike[str], top: int = 5, title: str = "") -> None:
        """Writes the picture.

        Args:
            path: path of the PNG file.
            top: int. Classes drawn: those whose probability is highest at some time.
                Defaults to `5`.
            title: str. Stands above. Defaults to none.

        Raises:
            ValueError: if the path does not end in `.png`, or no window was added.
        """
        check_timeline_file(path)
        if not self._points:
            raise ValueError("A timeline needs at least one window. Received: none")
        from matplotlib.figure import Figure  # no pyplot: nothing global, no display
        from matplotlib.ticker import FuncFormatter, MultipleLocator

        times, probabilities = self.curves()
        drawn = np.argsort(-probabilities.max(axis=0), kind="stable")[:top]
        figure = Figure(figsize=(12, 4.5), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        marker = "o" if len(times) <= 60 else ""  # a single window is a point, not a line
        for index in drawn:
            axes.plot(times, probabilities[:, index], marker=marker, markersize=4)
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("probability")
        axes.set_xlabel("time")
        span = max(times[-1] - times[0], 1.0)
        step = next((step for step in _STEPS if step >= span / _MOST_TICKS), span / _MOST_TICKS)
        axes.xaxis.set_major_locator(MultipleLocator(step))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        axes.grid(alpha=0.3)
        # Names are text, also where they hold dollar signs, which Matplotlib reads as formulas.
        axes.set_title(title, loc="left", fontsize=10, parse_math=False)
        shown = [self._names[index] for index in drawn]
        labels = [name if len(name) <= 32 else f"{name[:31]}…" for name in shown]
        legend = figure.legend(axes.get_lines(), labels, loc="outside right upper", frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
        with written_beside(path) as part:
            figure.savefig(part, format="png")


def check_timeline_file(path: str | os.PathLike[str]) -> None:
    """Refuses what is no path of a PNG file."""
    if pathlib.Path(path).suffix.lower() != ".png" or os.path.isdir(path):
        raise ValueError(
            "Expected a file that ends in .png, for example timeline.png. "
            f"Received: {os.fspath(path)}"
        )


def clock(seconds: float) -> str:
    """Returns a time as a clock shows it, `1:02:03.5` or `0:07`; tenths where they are not 0."""
    tenths = math.floor(10 * seconds + 0.5)
    minutes, rest = divmod(abs(tenths), 600)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, 10)
    text = f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
    return f"{'-' if tenths < 0 else ''}{text}{f'.{part}' if part else ''}"


class _Point:
    """Neighbouring windows: when they are, how many, the sum of their probabilities."""

    def __init__(self, start: float, end: float, total: np.ndarray) -> None:
        self.start, self.end, self.total, self.windows = start, end, total, 1

    def add(self, start: float, end: float, total: np.ndarray, windows: int) -> None:
        self.start, self.end = min(self.start, start), max(self.end, end)
        self.total, self.windows = self.total + total, self.windows + windows
