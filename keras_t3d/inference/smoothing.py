"""Averages the probabilities of successive windows, so that classes flicker less."""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Callable
from typing import Protocol

import numpy as np

from keras_t3d.errors import InvalidArgumentError, check_argument, check_integer


class Smoothing(Protocol):
    """A rule that averages the probabilities of a window and of the windows before it."""

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a function that maps each window's probabilities, in order, for one video."""
        ...


@dataclasses.dataclass(frozen=True)
class MeanOfLast:
    """The mean over the last windows, including the current one; fewer at the start.

    Args:
        windows: number of windows, at least 1.

    Raises:
        InvalidArgumentError: if `windows` is not an integer of at least 1.

    Example:

    ```python
    WindowOptions(smoothing=MeanOfLast(5))
    ```
    """

    windows: int

    def __post_init__(self) -> None:
        check_integer("windows", self.windows, 1, 5)

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        last: collections.deque[np.ndarray] = collections.deque(
            maxlen=min(int(self.windows), sys.maxsize)
        )

        def smooth(probabilities: np.ndarray) -> np.ndarray:
            last.append(probabilities)
            return np.asarray(np.mean(last, axis=0, dtype=np.float32))

        return smooth


@dataclasses.dataclass(frozen=True)
class Exponential:
    """An exponential moving average.

    Args:
        weight: weight of the current window, above 0 and at most 1.

    Raises:
        InvalidArgumentError: if `weight` is out of its range.

    Example:

    ```python
    WindowOptions(smoothing=Exponential(0.3))
    ```
    """

    weight: float

    def __post_init__(self) -> None:
        rule = "above 0 and at most 1, for example Exponential(0.3)"
        check_argument("weight", self.weight, 0 < self.weight <= 1, rule)

    def start(self) -> Callable[[np.ndarray], np.ndarray]:
        average: np.ndarray | None = None

        def smooth(probabilities: np.ndarray) -> np.ndarray:
            nonlocal average
            before = probabilities if average is None else average
            average = before + np.float32(self.weight) * (probabilities - before)
            return average

        return smooth


def parse_smoothing(text: str) -> Smoothing:
    """Parses `mean:5` or `exponential:0.3`.

    Args:
        text: name of the rule, a colon and its number.

    Returns:
        MeanOfLast or Exponential.

    Raises:
        InvalidArgumentError: if the text is neither.

    Example:

    ```python
    parse_smoothing("mean:5")  # MeanOfLast(windows=5)
    ```
    """
    name, _, number = text.partition(":")
    try:
        if name == "mean":
            return MeanOfLast(int(number))
        if name == "exponential":
            return Exponential(float(number))
    except ValueError:
        pass
    raise InvalidArgumentError(
        "`smoothing` must be mean:N, over the last N windows, or exponential:W, with weight W of "
        "the newest window (0 < W <= 1), for example mean:5 or exponential:0.3. "
        f"Received: {text!r}",
        argument="smoothing",
    )
