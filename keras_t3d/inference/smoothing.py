"""Scores that flicker less: each window's joined with those before."""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from keras_t3d.inference.stream import WindowScores


class Smoothing(Protocol):
    """A rule that joins the probabilities of a window with those of the windows before."""

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        """Begins a video: returns what maps each window's probabilities, in order."""
        ...


@dataclasses.dataclass(frozen=True)
class MeanOfLast:
    """The mean over the last windows, this one included; fewer at the beginning.

    Args:
        windows: int, at least 1.

    Example:

    ```python
    stream_video(model, "film.mp4", smoothing=MeanOfLast(5))
    ```
    """

    windows: int

    def __post_init__(self) -> None:
        if int(self.windows) != self.windows or self.windows < 1:
            raise ValueError(
                "`windows` must be a whole number of at least 1, for example MeanOfLast(5). "
                f"Received: {self.windows}"
            )

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        last: collections.deque[np.ndarray] = collections.deque(
            maxlen=min(int(self.windows), sys.maxsize)
        )

        def smoothed(probabilities: np.ndarray) -> np.ndarray:
            last.append(probabilities)
            return np.asarray(np.mean(last, axis=0, dtype=np.float32))

        return smoothed


@dataclasses.dataclass(frozen=True)
class Exponential:
    """An exponential average: `weight` of this window, the rest of the average before.

    Args:
        weight: float, above 0 and at most 1.

    Example:

    ```python
    stream_video(model, "film.mp4", smoothing=Exponential(0.3))
    ```
    """

    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(
                "`weight` must be above 0 and at most 1, for example Exponential(0.3). "
                f"Received: {self.weight}"
            )

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        average: np.ndarray | None = None

        def smoothed(probabilities: np.ndarray) -> np.ndarray:
            nonlocal average
            before = probabilities if average is None else average
            average = before + np.float32(self.weight) * (probabilities - before)
            return average

        return smoothed


def smoothed_scores(smoothing: Smoothing | None) -> Callable[[WindowScores], WindowScores]:
    """Begins a video: returns what maps each window's scores, in order; None changes nothing."""
    if smoothing is None:
        return lambda scores: scores
    smooth = smoothing.start()

    def smoothed(scores: WindowScores) -> WindowScores:
        return dataclasses.replace(scores, probabilities=smooth(scores.probabilities))

    return smoothed


def parse_smoothing(text: str) -> Smoothing:
    """Reads `mean:5` or `exponential:0.3`, as the command line has it.

    Raises:
        ValueError: if it is neither.
    """
    name, _, number = text.partition(":")
    try:
        if name == "mean":
            return MeanOfLast(int(number))
        if name == "exponential":
            return Exponential(float(number))
    except ValueError:
        pass
    raise ValueError(
        "Expected mean:N, over the last N windows, or exponential:W, with the weight of the "
        f"newest window (0 < W <= 1), for example mean:5 or exponential:0.3. Received: {text!r}"
    )
