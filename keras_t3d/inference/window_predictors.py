"""Predicts windows while a video plays: all of them, or as many as the model keeps up with."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from keras_t3d.inference.predictor import Predictor
from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.smoothing import Smoothing
from keras_t3d.inference.window_prediction import WindowPrediction, start_smoothing


class WindowPredictor:
    """Predicts every window before `submit` returns: for files, which can wait."""

    def __init__(self, predictor: Predictor, smoothing: Smoothing | None = None) -> None:
        self._predictor = predictor
        self._smooth = start_smoothing(smoothing)
        self._latest: WindowPrediction | None = None

    def _predict(self, window: Window) -> WindowPrediction:
        probabilities = self._predictor.probabilities(np.ascontiguousarray(window.clips))
        return self._smooth(WindowPrediction.from_crops(window, probabilities))

    def submit(self, window: Window) -> None:
        """Accepts a window."""
        self._latest = self._predict(window)

    def latest(self) -> WindowPrediction | None:
        """Returns the latest prediction; None before the first."""
        return self._latest

    def close(self) -> None:
        """Stops background work; raises the error that ended it, if any."""


class BackgroundWindowPredictor(WindowPredictor):
    """Predicts in a thread and drops windows submitted while it is busy: for cameras."""

    def __init__(self, predictor: Predictor, smoothing: Smoothing | None = None) -> None:
        super().__init__(predictor, smoothing)
        self._executor = ThreadPoolExecutor(1, "keras-t3d-predict")
        self._pending: Future[WindowPrediction] | None = None

    def submit(self, window: Window) -> None:
        self.latest()
        if self._pending is None:
            self._pending = self._executor.submit(self._predict, window)

    def latest(self) -> WindowPrediction | None:
        if self._pending is not None and self._pending.done():
            done, self._pending = self._pending, None
            self._latest = done.result()
        return self._latest

    def close(self) -> None:
        self._executor.shutdown()
        self.latest()  # raises an error that has not been reported
