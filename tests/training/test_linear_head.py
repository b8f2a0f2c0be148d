"""The classifying layer as a logistic regression of the features."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from keras_t3d import models
from keras_t3d.data import ClipReader, ShardSet
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.training.linear_head import INVERSE_PENALTY, clip_features, fit_head
from tests.training.tiny import TINY


@pytest.fixture(scope="module")
def network(spec):
    options = {"class_names": ["a", "b", "c"], "clip_spec": spec, **TINY["model"]["options"]}
    return models.T3D(spec.input_shape, 3, **options)


def noise(network, count, seed=0):
    width = network.get_layer("logits").kernel.shape[0]
    return np.random.default_rng(seed).normal(2.0, 3.0, (count, width)).astype("float32")


def logits_of(network, features):
    kernel, bias = network.get_layer("logits").get_weights()
    return features @ kernel + bias


def regression_of(features, labels):
    """scikit-learn's regression of standardized features, and its scaler."""
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    return regression.fit(scaler.transform(features), labels), scaler


def test_logits_are_those_of_scikit_learn(network):
    features, labels = noise(network, 30), np.arange(30) % 3
    fit_head(network, features, labels)
    expected, scaler = regression_of(features, labels)
    unseen = noise(network, 5, seed=1)
    np.testing.assert_allclose(
        logits_of(network, unseen),
        expected.decision_function(scaler.transform(unseen)),
        rtol=0,
        atol=1e-5,
    )


def test_two_of_three_classes(network):
    features, labels = noise(network, 20), np.arange(20) % 2 * 2  # none of class 1
    fit_head(network, features, labels)
    expected, scaler = regression_of(features, labels)
    logits = logits_of(network, features)
    assert logits[:, 1].max() < logits[:, [0, 2]].min() - 10
    odds = np.exp(logits[:, [0, 2]])
    np.testing.assert_allclose(
        odds / odds.sum(axis=1, keepdims=True),
        expected.predict_proba(scaler.transform(features)),
        rtol=0,
        atol=1e-5,
    )


def test_one_class_is_refused(network):
    with pytest.raises(InvalidArgumentError, match="'b'"):
        fit_head(network, noise(network, 4), np.ones(4, int))


@pytest.mark.fit
def test_features_are_those_of_the_middle_clips(shards, model, spec):
    shard_set = ShardSet.open(shards)
    features, labels = clip_features(model, shard_set, "test", batch_size=3)
    clips, ids = next(ClipReader(shard_set, "test", spec, 8).as_views().as_numpy_iterator())
    assert labels.tolist() == ids.tolist()
    expected = model.feature_model().predict_on_batch(clips)
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-5)
