import numpy as np
import pytest

from keras_t3d.transfer import FrameClipContrast
from tests.transfer.pairs import batch, tiny_student, tiny_teacher

pytestmark = pytest.mark.fit


def normalized(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_loss_and_metric_match_the_equations():
    teacher, student = tiny_teacher(), tiny_student()
    contrast = FrameClipContrast(teacher, student, features=3, temperature=0.5)
    contrast.compile()
    inputs = batch([4, 4, 8, -1, 9])
    frames = normalized(np.asarray(contrast._project_frames(teacher(inputs["clips"]))))
    embedding = student.feature_model()(inputs["clips"])
    clips = normalized(np.asarray(contrast._project_clips(embedding)))
    similar = clips @ frames.T / 0.5
    losses, hits = [], []
    for row, others in ((0, [2, 4]), (1, [2, 4]), (2, [0, 1, 4]), (4, [0, 1, 2])):
        scores = np.exp(similar[row, [row, *others]])
        losses.append(-np.log(scores[0] / scores.sum()))
        hits.append(scores[0] > scores[1:].max())
    got = contrast.evaluate(inputs, batch_size=5, verbose=0, return_dict=True)
    assert got["transfer_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert got["retrieval"] == pytest.approx(np.mean(hits))


def test_loss_decreases():
    contrast = FrameClipContrast(tiny_teacher(), tiny_student(), features=8)
    contrast.compile("adam")
    history = contrast.fit(batch(range(16)), batch_size=8, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.1


def test_gradients_of_zero_features_are_bounded():
    contrast = FrameClipContrast(tiny_teacher(), tiny_student(), features=3)
    contrast.compile("sgd")
    inputs = batch([0, 1, 2, 3])
    frames = np.ones((4, 6), np.float32)
    frames[0] = 0.0
    contrast.fit({**inputs, "frame_features": frames}, batch_size=4, verbose=0)
    assert max(np.abs(v).max() for v in map(np.asarray, contrast._project_frames.weights)) < 10


@pytest.mark.parametrize("arguments", [{"features": 0}, {"temperature": 0.0}])
def test_arguments_out_of_range_are_rejected(arguments):
    with pytest.raises(ValueError, match="Received: features="):
        FrameClipContrast(tiny_teacher(), tiny_student(), **arguments)
