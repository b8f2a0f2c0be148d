"""Scores in the background: which windows are left out, and failures that are not."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from keras_t3d.inference.running_scores import NextWhenIdle
from keras_t3d.inference.sliding_window import Window


def window(number):
    return Window(number, 0.0, 1.0, np.full((1, 2, 2, 2, 3), number, np.uint8))


def test_a_slow_model_leaves_windows_out():
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def probabilities(clips):
        begun.release()
        assert go.acquire(timeout=20)
        return np.full((1, 1), clips[0, 0, 0, 0, 0], np.float32)

    scores = NextWhenIdle(SimpleNamespace(probabilities=probabilities))
    scores.offer(window(1))
    assert begun.acquire(timeout=20)
    scores.offer(window(2))  # left out: the first is still being scored
    assert scores.newest() is None
    go.release()
    scores._running.result(20)
    assert scores.newest().probabilities == [1]
    scores.offer(window(3))
    go.release()
    scores._running.result(20)
    assert scores.newest().first_frame == 3
    scores.close()


def failing(clips):
    raise RuntimeError("out of memory")


def test_a_model_that_fails_in_the_background_is_heard_of():
    scores = NextWhenIdle(SimpleNamespace(probabilities=failing))
    scores.offer(window(1))
    scores._thread.shutdown()
    with pytest.raises(RuntimeError, match="out of memory"):
        scores.newest()
    scores.close()  # said once


def test_a_failure_that_nobody_asked_for_is_heard_of_at_the_end():
    scores = NextWhenIdle(SimpleNamespace(probabilities=failing))
    scores.offer(window(1))
    with pytest.raises(RuntimeError, match="out of memory"):
        scores.close()
