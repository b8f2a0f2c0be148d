"""Predictions of windows: all of them, or as many as the model keeps up with."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.smoothing import Smoothing


@dataclasses.dataclass(frozen=True)
class WindowPrediction:
    """The predicted probabilities of one window of a video, with its times.

    Attributes:
        first_frame: index of the window's first frame.
        start: seconds from the start of playback at which the first frame appears.
        end: seconds at which the frame after the window's last one appears.
        probabilities: float32 array (classes,).
    """

    first_frame: int
    start: float
    end: float
    probabilities: np.ndarray

    @classmethod
    def from_crops(cls, window: Window, probabilities: np.ndarray) -> WindowPrediction:
        """Averages the probabilities of a window's crops, float (crops, classes)."""
        mean = probabilities.mean(axis=0, dtype=np.float32)
        return cls(window.first_frame, window.start, window.end, mean)


def start_smoothing(
    smoothing: Smoothing | None,
) -> Callable[[WindowPrediction], WindowPrediction]:
    """Returns a function that smooths the predictions of one video, in order.

    Args:
        smoothing: the rule; None returns predictions as they are.
    """
    if smoothing is None:
        return lambda prediction: prediction
    smooth = smoothing.start()

    def smooth_prediction(prediction: WindowPrediction) -> WindowPrediction:
        return dataclasses.replace(prediction, probabilities=smooth(prediction.probabilities))

    return smooth_prediction


PredictWindow = Callable[[Window], WindowPrediction]


def start_prediction(
    predictor: Predictor,
    smoothing: Smoothing | None = None,
    before: Callable[[Window], None] = lambda window: None,
) -> PredictWindow:
    """Returns a function that predicts the windows of one video, in order.

    Args:
        predictor: predicts the clips of a window.
        smoothing: see `start_smoothing`.
        before: called with each window before its prediction, in the same thread.
    """
    smooth = start_smoothing(smoothing)

    def predict(window: Window) -> WindowPrediction:
        before(window)
        probabilities = predictor.probabilities(np.ascontiguousarray(window.clips))
        return smooth(WindowPrediction.from_crops(window, probabilities))

    return predict


class WindowPredictor:
    """Predicts every window before `submit` returns: for files, which can wait.

    Args:
        predict: see `start_prediction`.
    """

    def __init__(self, predict: PredictWindow) -> None:
        self._predict = predict
        self._latest: WindowPrediction | None = None

    def submit(self, window: Window) -> None:
        """Accepts a window."""
        self._latest = self._predict(window)

    def latest(self) -> WindowPrediction | None:
        """Returns the latest prediction; None before the first."""
        return self._latest

    def close(self) -> None:
        """Stops background work; raises the error that ended it, if any."""


class BackgroundWindowPredictor(WindowPredictor):
    """Predicts in a thread and drops windows submitted while it is behind: for cameras.

    Args:
        predict: see `start_prediction`.
        most_waiting: number of windows not predicted yet from which on it is behind, until all are.
            So at least as many follow each other without a gap.
    """

    def __init__(self, predict: PredictWindow, most_waiting: int = 1) -> None:
        super().__init__(predict)
        self._most_waiting = most_waiting
        self._executor = ThreadPoolExecutor(1, "keras-t3d-predict")
        self._waiting: collections.deque[Future[WindowPrediction]] = collections.deque()
        self._is_behind = False

    def submit(self, window: Window) -> None:
        self.latest()
        count = len(self._waiting)
        self._is_behind = count > 0 and (self._is_behind or count >= self._most_waiting)
        if not self._is_behind:
            self._waiting.append(self._executor.submit(self._predict, window))

    def latest(self) -> WindowPrediction | None:
        try:
            while self._waiting and self._waiting[0].done():
                self._latest = self._waiting.popleft().result()
        except Exception:
            self._waiting.clear()  # their errors would follow from this one
            raise
        return self._latest

    def close(self) -> None:
        self._executor.shutdown()
        self.latest()  # raises an error that has not been reported
