"""Scores while a video plays: of every window, or of as many as the model keeps up with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.smoothing import Smoothing, smoothed_scores
from keras_t3d.inference.stream import WindowScores, window_scores


class RunningScores(Protocol):
    """Takes windows, and knows the newest scores."""

    def offer(self, window: Window) -> None:
        """Takes a window, to be scored now, later or not at all."""
        ...

    def newest(self) -> WindowScores | None:
        """Returns the newest scores; None before the first."""
        ...

    def close(self) -> None:
        """Ends what works in the background; raises what made it fail."""
        ...


class EveryWindow:
    """Scores every window before the next frame is looked at: for files, which wait."""

    def __init__(self, predictor: Predictor, smoothing: Smoothing | None = None) -> None:
        self._score = _scorer(predictor, smoothing)
        self._newest: WindowScores | None = None

    def offer(self, window: Window) -> None:
        self._newest = self._score(window)

    def newest(self) -> WindowScores | None:
        return self._newest

    def close(self) -> None:
        pass


class NextWhenIdle:
    """Scores in the background, and after each window the next one offered; those offered
    meanwhile are left out: for cameras, which do not wait."""

    def __init__(self, predictor: Predictor, smoothing: Smoothing | None = None) -> None:
        self._score = _scorer(predictor, smoothing)
        self._thread = ThreadPoolExecutor(1, "keras-t3d-scores")
        self._running: Future[WindowScores] | None = None
        self._newest: WindowScores | None = None

    def offer(self, window: Window) -> None:
        self.newest()
        if self._running is None:
            self._running = self._thread.submit(self._score, window)

    def newest(self) -> WindowScores | None:
        if self._running is not None and self._running.done():
            done, self._running = self._running, None
            self._newest = done.result()
        return self._newest

    def close(self) -> None:
        self._thread.shutdown()
        self.newest()  # raises the failure that nobody asked for yet


def _scorer(predictor: Predictor, smoothing: Smoothing | None) -> Callable[[Window], WindowScores]:
    smooth = smoothed_scores(smoothing)

    def score(window: Window) -> WindowScores:
        probabilities = predictor.probabilities(np.ascontiguousarray(window.clips))
        return smooth(window_scores(window, probabilities))

    return score
