"""Windows with each kind of model on disk; a .tflite file without TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from keras_t3d.inference import WindowOptions, load_predictor, stream_video
from tests.conftest import write_video

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    return write_video(tmp_path_factory.mktemp("video") / "noise.mp4", frames, fps=10)


@pytest.fixture(scope="module")
def expected(model, video):
    return np.stack([w.probabilities for w in stream_video(model, video)])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_keras_file(model_path, video, expected, batch_size):
    windows = stream_video(model_path, video, WindowOptions(batch_size=batch_size))
    np.testing.assert_allclose([w.probabilities for w in windows], expected, atol=1e-5)


def test_a_saved_model_and_its_parent_folder(saved_model_path, video, expected):
    for path in (saved_model_path, saved_model_path / "1"):
        windows = stream_video(path, video, WindowOptions(batch_size=2))
        np.testing.assert_allclose([w.probabilities for w in windows], expected, atol=1e-5)


def test_a_tflite_file(lite_path, video, expected):
    windows = stream_video(load_predictor(lite_path), video, WindowOptions(batch_size=2))
    np.testing.assert_allclose([w.probabilities for w in windows], expected, atol=1e-4)


_WITHOUT_TENSORFLOW = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "torch", "jax", "cv2"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from keras_t3d.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.process
def test_a_tflite_file_without_tensorflow(lite_path, video, expected, tmp_path):
    def run(*words):
        command = [sys.executable, "-c", _WITHOUT_TENSORFLOW, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("predict", lite_path, video, "--out", tmp_path / "w.json", "--timeline", tmp_path / "t.png")
    records = json.loads((tmp_path / "w.json").read_text())
    bright = [
        next(c["probability"] for c in record["classes"] if c["class"] == "bright")
        for record in records
    ]
    np.testing.assert_allclose(bright, expected[:, 0], atol=1e-4)
    assert "40 frames" in run(
        "watch", lite_path, video, "--out", tmp_path / "o.mp4", "--no-display"
    )
