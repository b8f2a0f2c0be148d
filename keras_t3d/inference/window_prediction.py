"""The prediction for one window of a video."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

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
        """Averages the probabilities of a window's crops.

        Args:
            window: the window.
            probabilities: float array (crops, classes).

        Returns:
            A WindowPrediction.
        """
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
