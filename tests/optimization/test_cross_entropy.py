import keras
import numpy as np
import pytest

from keras_t3d.optimization import CrossEntropy

LOGITS = np.array([[2.0, 0.5, -1.0], [0.0, 1.0, 0.0]], np.float32)
LABELS = np.array([0, 2])


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_class_ids_and_their_shares_give_keras_cross_entropy():
    expected = float(keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, LOGITS))
    assert float(CrossEntropy()(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-6)
    assert float(CrossEntropy()(np.eye(3)[LABELS], LOGITS)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("label", [-1, 3])
def test_an_id_that_is_no_class_gives_nan(label):
    loss = CrossEntropy(reduction=None)
    np.testing.assert_array_equal(
        np.isnan(keras.ops.convert_to_numpy(loss(np.array([0, label]), LOGITS))), [False, True]
    )


def test_smoothing_and_weights_by_hand():
    target = np.eye(3)[LABELS] * 0.7 + 0.1
    each = -(target * log_softmax(LOGITS)).sum(-1) * np.array([1.0, 4.0])
    loss = CrossEntropy(label_smoothing=0.3, class_weights=[1, 2, 4])
    assert float(loss(LABELS, LOGITS)) == pytest.approx(each.mean(), rel=1e-6)


def test_a_mixed_label_has_the_mean_of_its_weights():
    mixed = np.array([[0.25, 0.75, 0.0]])
    expected = -(mixed * log_softmax(LOGITS[:1])).sum() * (0.25 * 1 + 0.75 * 2)
    loss = CrossEntropy(class_weights=[1, 2, 4])
    assert float(loss(mixed, LOGITS[:1])) == pytest.approx(expected, rel=1e-6)


def test_config_round_trip():
    loss = CrossEntropy(0.1, [1, 2, 3])
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert float(back(LABELS, LOGITS)) == float(loss(LABELS, LOGITS))


@pytest.mark.parametrize(
    ("arguments", "received"),
    [({"label_smoothing": 1.0}, "`label_smoothing`.*1.0"), ({"class_weights": [1, -1]}, "-1")],
)
def test_a_wrong_value_is_refused(arguments, received):
    with pytest.raises(ValueError, match=received):
        CrossEntropy(**arguments)
