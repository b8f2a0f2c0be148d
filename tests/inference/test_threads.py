"""Predictors, streams and cameras that several threads use at once."""

import threading
import time

import numpy as np
import pytest

from keras_t3d.data import VideoError
from keras_t3d.inference import MeanOfLast, WindowOptions, load_predictor, stream_video
from tests.conftest import write_video
from tests.threads import in_threads


def clips_of(model, count=8):
    """Bright and dark clips, of which each has other probabilities."""
    clips = np.random.default_rng(1).integers(0, 256, (count, *model.clip_spec.input_shape))
    clips[::2] //= 8
    return clips.astype(np.uint8)


@pytest.mark.export
@pytest.mark.parametrize("form", ["model", "model_path", "saved_model_path", "lite_path"])
def test_four_threads_get_no_wrong_answer(model, form, request):
    predictor = load_predictor(request.getfixturevalue(form))
    clips = clips_of(model)
    expected = load_predictor(model).probabilities(clips)
    wrong = []

    def ask(thread):
        for number in range(30):
            n = (7 * thread + 3 * number) % len(clips)
            found = predictor.probabilities(clips[n : n + 1])
            if not np.abs(found - expected[n]).max() < 1e-4:
                wrong.append(found)

    assert in_threads(ask) == []
    assert wrong == []


class SlowPredictor:
    """Takes a while, so that other threads come in between."""

    class_names = ("a", "b")

    def __init__(self, clip_spec):
        self.clip_spec = clip_spec

    def probabilities(self, clips):
        time.sleep(0.01)
        return np.full((len(clips), 2), 0.5, np.float32)


def test_a_stream_refuses_a_second_thread(spec, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    video = write_video(tmp_path / "noise.mp4", frames)
    options = WindowOptions(hop_frames=1, smoothing=MeanOfLast(3))
    windows = stream_video(SlowPredictor(spec), video, options)
    received = []
    errors = in_threads(lambda thread: received.extend(iter(windows)))
    assert {type(error) for error in errors} == {ValueError}  # generator already executing
    starts = [window.first_frame for window in received]
    assert starts == sorted(set(starts))


def test_a_camera_refuses_a_second_reader():
    from keras_t3d.inference.camera import Camera

    camera = Camera.__new__(Camera)
    camera._name, camera._is_read = "camera 0", threading.Lock()
    camera._timed = lambda: iter(range(3))
    frames = camera.timed()
    assert next(frames) == 0
    with pytest.raises(VideoError, match="camera 0"):
        next(camera.timed())
    frames.close()
    assert list(camera.timed()) == [0, 1, 2]
