import keras
import numpy as np
import pytest

import keras_t3d
from keras_t3d.optimization import Learner, average_of_weights, make_optimizer
from keras_t3d.training.evaluation_weights import EvaluationWeights

pytestmark = pytest.mark.fit

CLIPS = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3)).astype("uint8")


@pytest.fixture
def learner():
    keras.utils.set_random_seed(0)
    network = keras_t3d.models.create(
        "t3d_tiny",
        input_shape=(4, 16, 16, 3),
        num_classes=3,
        dropout=0.5,
        block_layers=[1],
        growth_rate=4,
        stem_filters=8,
        transition_filters=4,
    )
    learner = Learner(network)
    learner.compile(
        make_optimizer("SGD", 0.1, use_ema=True, ema_momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for _ in range(3):
        learner.train_on_batch(CLIPS, np.array([0, 1, 2, 0]))
    return learner


def values(learner):
    return [keras.ops.convert_to_numpy(v) for v in learner.network.variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_averages_are_used_and_trained_weights_restored(learner):
    before = values(learner)
    weights = EvaluationWeights(None)
    weights.set_model(learner)
    averages = average_of_weights(learner.optimizer)
    with weights.in_place():
        for variable, average in averages:
            np.testing.assert_array_equal(variable, average)
        assert not np.array_equal(values(learner)[0], before[0])
    assert_equal(values(learner), before)


def test_statistics_are_computed_with_the_averages_once_per_step(learner):
    measured = []

    def batches():
        measured.append(int(learner.optimizer.iterations))
        return [CLIPS, CLIPS[::-1]]

    before = values(learner)
    weights = EvaluationWeights(batches)
    weights.set_model(learner)
    with weights.in_place():
        first = values(learner)
    weights.on_test_begin()
    assert_equal(values(learner), first)
    weights.on_test_end()
    assert measured == [3]
    assert_equal(values(learner), before)  # dropout's random state, too
    moving = [v for v in learner.network.variables if "moving_variance" in v.path]
    assert moving
    places = [i for i, v in enumerate(learner.network.variables) if "moving_variance" in v.path]
    assert all(not np.array_equal(first[i], before[i]) for i in places)
    learner.train_on_batch(CLIPS, np.array([0, 1, 2, 0]))
    with weights.in_place():
        assert measured == [3, 4]


def test_trained_weights_are_restored_if_saving_fails(learner):
    before = values(learner)
    weights = EvaluationWeights(None)
    weights.set_model(learner)
    with pytest.raises(OSError, match="full"), weights.in_place():
        raise OSError("disk full")
    assert_equal(values(learner), before)
