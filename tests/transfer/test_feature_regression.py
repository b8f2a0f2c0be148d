import keras
import numpy as np
import pytest

from keras_t3d.transfer import FeatureRegression
from tests.transfer.pairs import batch, tiny_student, tiny_teacher

pytestmark = pytest.mark.fit


def test_loss_and_metric_match_the_equations():
    teacher, student = tiny_teacher(), tiny_student()
    regression = FeatureRegression(teacher, student)
    regression.compile()
    inputs = batch([4, 4, 8, -1])
    frames = np.asarray(teacher(inputs["clips"]), np.float64)
    embedding = student.feature_model()(inputs["clips"])
    predicted = np.asarray(regression._predict(embedding), np.float64)
    errors = ((predicted - frames) ** 2).mean(1)
    distances = ((predicted[:, None] - frames[None]) ** 2).mean(2)
    others = [(2,), (2,), (0, 1)]
    hits = [errors[row] < min(distances[row, o] for o in other) for row, other in enumerate(others)]
    got = regression.evaluate(inputs, batch_size=4, verbose=0, return_dict=True)
    assert got["transfer_loss"] == pytest.approx(errors[:3].mean(), rel=1e-4)
    assert got["retrieval"] == pytest.approx(np.mean(hits))


def test_retrieval_of_nearly_equal_features():
    """Features around 20 that differ by a thousandth."""
    regression = FeatureRegression(tiny_teacher(), tiny_student())
    regression.compile()
    rng = np.random.default_rng(0)
    frames = (20 + 1e-3 * rng.normal(size=(8, 6))).astype("float32")
    inputs = batch(range(8))
    kernel, bias = regression._predict.weights
    for row in range(8):
        kernel.assign(np.zeros(kernel.shape))
        bias.assign(frames[row])
        outputs = regression({**inputs, "frame_features": frames})
        hits = np.asarray(regression._metric_per_clip(outputs))
        assert hits.tolist() == [float(n == row) for n in range(8)]


def test_loss_decreases():
    regression = FeatureRegression(tiny_teacher(), tiny_student())
    regression.compile(keras.optimizers.Adam(0.01))
    history = regression.fit(batch(range(16)), batch_size=8, epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
