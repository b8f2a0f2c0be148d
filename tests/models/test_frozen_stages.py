import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.models.frozen_stages import split_after_frozen


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).integers(0, 256, (2, 8, 16, 16, 3), np.uint8)


def tiny(dropout=0.0):
    return models.T3DTiny((8, 16, 16, 3), 2, dropout=dropout)


def freeze(network, *names):
    for name in names:
        network.get_layer(name).trainable = False
    return network


def test_two_parts_compute_what_the_network_computes(clips):
    network = freeze(tiny(), "stem", "block1", "transition2")
    beginning, rest = split_after_frozen(network)
    assert beginning.layers[-1].name == "block1"
    np.testing.assert_array_equal(rest(beginning(clips)), network(clips))
    assert [id(v) for v in rest.trainable_variables] == [id(v) for v in network.trainable_variables]


def test_a_network_that_trains_from_its_input_has_only_its_normalization_before(clips):
    beginning, _ = split_after_frozen(freeze(tiny(), "block1"))
    assert beginning.layers[-1].name == "normalization"


def test_the_beginning_ends_before_dropout():
    network = tiny(dropout=0.5)
    for layer in network.layers:
        layer.trainable = layer.name == "logits"
    beginning, _ = split_after_frozen(network)
    assert beginning.layers[-1].name == "embedding"


def test_the_beginning_ends_before_a_batch_norm_whose_averages_move():
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(scale=False, center=False)(inputs)
    assert split_after_frozen(keras.Model(inputs, keras.layers.Dense(2)(x))) is None


def test_the_beginning_ends_where_nothing_passes_it_by():
    inputs = keras.Input((4,))
    first = keras.layers.Dense(4, trainable=False, name="first")(inputs)
    second = keras.layers.Dense(4, trainable=False)(first)
    network = keras.Model(inputs, keras.layers.Dense(2)(second + first))
    beginning, rest = split_after_frozen(network)
    assert beginning.layers[-1].name == "first"
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(rest(beginning(x)), network(x))


def test_saving_a_split_network_saves_it_whole(clips, tmp_path):
    network = freeze(tiny(), "stem")
    split_after_frozen(network)
    network.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(clips), network(clips))
