import keras
import numpy as np
import pytest

from keras_t3d.clips.padded_labels import padded_labels
from keras_t3d.layers import ClipNormalization
from keras_t3d.models import VideoClassifier
from keras_t3d.optimization import CrossEntropy, Learner

CLIPS = np.random.default_rng(0).integers(0, 256, (4, 4, 8, 8, 3)).astype("uint8")
IDS = np.array([0, 1, 1, 0])
WEIGHTS = np.float32([1, 3, 0.5, 2])
# Two batches of three, of which two places are filled up.
ORDER, IS_REAL = np.array([0, 1, 2, 3, 0, 1]), np.float32([1, 1, 1, 1, 0, 0])


def own_network(regularizer="l2"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 8, 8, 3))
    x = ClipNormalization()(inputs)
    x = keras.layers.Conv3D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    return VideoClassifier(inputs, keras.layers.Dense(2, kernel_regularizer=regularizer)(x))


def batches(*arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(3)


def padded_batches(*weights):
    labels = padded_labels(IDS[ORDER], IS_REAL)
    return batches(CLIPS[ORDER], labels, *(each[ORDER] for each in weights))


def cross_entropy(reduction):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)


def by_function(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "auto", "metrics": ["sparse_categorical_crossentropy"]},
        {"loss": CrossEntropy(class_weights=[2, 1]), "metrics": ["accuracy"], "loss_weights": 2.0},
        {"loss": "auto", "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
        {"loss": by_function, "metrics": ["accuracy"]},
        *({"loss": cross_entropy(name), "metrics": ["accuracy"]} for name in REDUCTIONS[1:]),
    ],
)
@pytest.mark.parametrize("weights", [(), (WEIGHTS,)], ids=["plain", "weighted"])
def test_padding_does_not_count(options, weights):
    model = own_network()
    model.compile("sgd", **options, run_eagerly="loss" in options)
    expected = model.evaluate(batches(CLIPS, IDS, *weights), verbose=0)
    found = model.evaluate(padded_batches(*weights), verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)
    last = batches(CLIPS, IDS, *weights).skip(1), padded_batches(*weights).skip(1)
    expected, found = (model.evaluate(each, steps=1, verbose=0) for each in last)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_padding_does_not_count_in_a_batch(reduction):
    model, batch = own_network(), (CLIPS[ORDER], padded_labels(IDS[ORDER], IS_REAL))
    weights = model.get_weights()
    results, trained = [], []
    for clips, labels, sample_weight in (
        (CLIPS, IDS, WEIGHTS),
        (*batch, WEIGHTS[ORDER]),
        (CLIPS, IDS, None),
        (*batch, None),
    ):
        model.set_weights(weights)
        model.compile("sgd", cross_entropy(reduction), metrics=["accuracy"], run_eagerly=True)
        data = (clips, labels, sample_weight)
        results.append([model.test_on_batch(*data), model.train_on_batch(*data)])
        trained.append(model.get_weights())
    for real, padded in ((0, 1), (2, 3)):
        np.testing.assert_allclose(results[padded], results[real], rtol=1e-5)
        for one, other in zip(trained[padded], trained[real], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


def test_padding_does_not_count_in_a_loss_per_clip():
    model = own_network(regularizer=None)
    model.compile("sgd", cross_entropy(None))
    expected = model.evaluate(CLIPS, IDS, verbose=0)
    assert model.evaluate(padded_batches(), verbose=0) == pytest.approx(expected, rel=1e-6)


def test_a_batch_of_padding_only_does_not_count():
    model = own_network()
    model.compile("sgd")
    expected = model.evaluate(CLIPS, IDS, verbose=0)
    labels = padded_labels(np.append(IDS, [0] * 5), np.float32([1] * 4 + [0] * 5))
    found = model.evaluate(batches(CLIPS[[0, 1, 2, 3, 0, 0, 0, 0, 0]], labels), verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.fit
def test_padding_does_not_count_in_validation():
    model = own_network()
    model.compile("sgd")
    history = model.fit(
        CLIPS, IDS, validation_data=padded_batches(), class_weight={0: 2.0, 1: 0.5}, verbose=0
    ).history
    loss, accuracy = model.evaluate(CLIPS, IDS, verbose=0)
    assert history["val_loss"] == pytest.approx([loss], rel=1e-6)
    assert history["val_accuracy"] == [accuracy]


def test_a_learner_leaves_padding_out():
    learner = Learner(own_network())
    learner.compile("sgd", cross_entropy("sum"), metrics=["accuracy"])
    expected = learner.evaluate(batches(CLIPS, IDS), verbose=0)
    assert learner.evaluate(padded_batches(), verbose=0) == pytest.approx(expected, rel=1e-6)
    assert [each.name for each in learner.metrics] == ["loss", "compile_metrics"]


def test_other_keras_models_refuse_padding():
    model = own_network()
    plain = keras.Model(model.inputs, model.outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for metrics in ({"metrics": ["accuracy"]}, {"weighted_metrics": ["accuracy"]}, {}):
        plain.compile("sgd", loss, **metrics)
        with pytest.raises(ValueError, match="weights"):
            plain.evaluate(padded_batches(), verbose=0)
