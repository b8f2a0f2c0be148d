"""Prediction in the background: dropped windows and reported errors."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.window_prediction import BackgroundWindowPredictor, start_prediction


def window(number):
    return Window(number, 0.0, 1.0, np.full((1, 2, 2, 2, 3), number, np.uint8))


def in_background(probabilities, most_waiting=1):
    predictor = SimpleNamespace(probabilities=probabilities)
    return BackgroundWindowPredictor(start_prediction(predictor), most_waiting)


def test_windows_are_dropped_while_the_model_is_busy():
    started, proceed = threading.Semaphore(0), threading.Semaphore(0)

    def probabilities(clips):
        started.release()
        assert proceed.acquire(timeout=20)
        return np.full((1, 1), clips[0, 0, 0, 0, 0], np.float32)

    windows = in_background(probabilities)
    windows.submit(window(1))
    assert started.acquire(timeout=20)
    windows.submit(window(2))  # dropped: the first is still being predicted
    assert windows.latest() is None
    proceed.release()
    windows._waiting[0].result(20)
    assert windows.latest().probabilities == [1]
    windows.submit(window(3))
    proceed.release()
    windows._waiting[0].result(20)
    assert windows.latest().first_frame == 3
    windows.close()


def test_windows_that_may_wait_are_dropped_until_all_are_predicted():
    proceed, seen = threading.Semaphore(0), []

    def probabilities(clips):
        assert proceed.acquire(timeout=20)
        seen.append(int(clips[0, 0, 0, 0, 0]))
        return np.zeros((1, 1), np.float32)

    windows = in_background(probabilities, most_waiting=2)
    for number in (1, 2, 3):
        windows.submit(window(number))  # the third is dropped
    proceed.release()
    windows._waiting[0].result(20)
    windows.submit(window(4))  # dropped too, as the second waits
    proceed.release(3)
    windows._waiting[0].result(20)
    windows.submit(window(5))
    windows.submit(window(6))
    windows.close()
    assert seen == [1, 2, 5, 6]


def failing(clips):
    raise RuntimeError("out of memory")


def test_latest_raises_an_error_of_the_model():
    windows = in_background(failing)
    windows.submit(window(1))
    windows._executor.shutdown()
    with pytest.raises(RuntimeError, match="out of memory"):
        windows.latest()
    windows.close()  # raised only once


def test_close_raises_an_unreported_error_of_the_model():
    windows = in_background(failing)
    windows.submit(window(1))
    with pytest.raises(RuntimeError, match="out of memory"):
        windows.close()
