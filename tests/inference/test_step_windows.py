"""Streams that miss frames start again."""

import dataclasses
import warnings

import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.inference.sliding_window import Window
from keras_t3d.inference.step_windows import StepContinuity, StreamRestartWarning, most_waiting
from keras_t3d.inference.stream_predictor import StreamPredictor

SPEC = ClipSpec(num_frames=8, frame_stride=2, resize=8, crop=8)


class Counting:
    """Answers with the number of steps since the reset."""

    calls = 0

    def initial_state(self):
        return {"steps": 0}

    def __call__(self, frames, state):
        self.calls += 1
        steps = state["steps"] + 1
        return np.full((1, 1), steps, np.float32), {"steps": steps}


@pytest.fixture
def stream():
    return StreamPredictor(Counting(), ("a",), SPEC, 2).continued()


def step(first, start, end):
    return Window(first, start, end, np.zeros((1, 2, 8, 8, 3), np.uint8))


def answers(stream, windows):
    continuity = StepContinuity(stream)
    found = []
    for window in windows:
        continuity(window)
        found.append(int(stream.probabilities(window.clips)[0, 0]))
    return found


WHOLE = [step(4 * n, 0.1 * n, 0.1 * n + 0.1) for n in range(4)]


def test_steps_that_follow_each_other_continue_the_stream(stream):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answers(stream, WHOLE) == [1, 2, 3, 4]


def test_the_first_step_of_a_video_is_not_the_first_that_is_computed():
    steps = Counting()
    stream = StreamPredictor(steps, ("a",), SPEC, 2).continued()
    assert steps.calls == 1
    assert answers(stream, WHOLE) == [1, 2, 3, 4]


def test_it_starts_again_after_dropped_frames(stream):
    with pytest.warns(StreamRestartWarning, match=r"0\.20 s: 4 frames"):
        assert answers(stream, [WHOLE[0], *WHOLE[2:]]) == [1, 1, 2]


def test_it_warns_of_dropped_frames_once(stream):
    with pytest.warns(StreamRestartWarning) as found:
        assert answers(stream, [step(8 * n, 0.2 * n, 0.2 * n + 0.1) for n in range(4)]) == [1] * 4
    assert len(found) == 1


def test_it_starts_again_after_a_pause(stream):
    paused = dataclasses.replace(WHOLE[2], end=3.2)
    with pytest.warns(StreamRestartWarning, match=r"3\.0 s"):
        assert answers(stream, [*WHOLE[:2], paused]) == [1, 2, 1]


def test_windows_need_no_continuity():
    StepContinuity(object())(WHOLE[0])


def test_as_many_steps_may_wait_as_a_clip_has(stream):
    assert most_waiting(stream) == 4
    assert most_waiting(object()) == 1
