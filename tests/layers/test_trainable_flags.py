"""What is frozen stays frozen in files and copies, at any depth; the batteries do the rest."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.layers import BasicBlock3D, ClipNormalization, Stem3D
from keras_t3d.models import VideoClassifier
from keras_t3d.private_interfaces import flatten_layers
from tests.battery import array, check_same_flags, noise_clips

SHAPE = (4, 16, 16, 3)
TINY = {"block_layers": (1, 1), "growth_rate": 4, "stem_filters": 4, "transition_filters": 4}


def own_network():
    """Layers, composites, and a backbone of this package that is nested as one layer."""
    inputs = keras.Input(SHAPE)
    x = ClipNormalization()(inputs)
    x = Stem3D(4, name="stem")(x)
    x = BasicBlock3D(6, 2, convolution="2plus1d", name="block")(x)
    x = keras.layers.GlobalAveragePooling3D()(x)
    backbone = models.T3D(SHAPE, include_top=False, **TINY, name="backbone")
    joined = keras.layers.Concatenate(name="embedding")([x, backbone(inputs)])
    return VideoClassifier(inputs, keras.layers.Dense(2, name="logits")(joined))


def freeze_some(model):
    model.get_layer("stem").trainable = False
    model.get_layer("block").convs[1].bn.trainable = False
    model.get_layer("block").shortcut_conv.trainable = False
    backbone = model.get_layer("backbone")
    backbone.trainable = False
    backbone.get_layer("block1").convs1[0].trainable = True


def load(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


WAYS = {
    "file": load,
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "config": lambda model, folder: VideoClassifier.from_config(model.get_config()),
}


@pytest.mark.parametrize("way", WAYS)
def test_at_any_depth(way, tmp_path):
    model = own_network()
    freeze_some(model)
    check_same_flags(WAYS[way](model, tmp_path), model)
    model.trainable = False
    model.get_layer("logits").trainable = True
    again = WAYS[way](model, tmp_path)
    assert (again.trainable, again.trainable_weights) == (False, [])
    check_same_flags(again, model)


def test_a_file_without_flags_trains_all(tmp_path):
    """As files of earlier versions are."""
    network = models.T3D(SHAPE, 2, **TINY)
    config = network.get_config()
    del config["trainable"], config["inner_trainable"]
    assert all(layer.trainable for layer in flatten_layers(models.T3D.from_config(config)))


@pytest.mark.fit
def test_training_goes_on_where_it_stopped(tmp_path):
    clips, labels = noise_clips(4, SHAPE), np.array([0, 1, 1, 0])
    keras.utils.set_random_seed(0)
    model = models.T3D(SHAPE, 2, **TINY)
    model.get_layer("stem").trainable = False
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    model.fit(clips, labels, epochs=2, shuffle=False, verbose=0)
    again = load(model, tmp_path)
    assert int(again.optimizer.iterations) == 2
    before = [array(weight) for weight in again.get_layer("stem").weights]
    for network in (model, again):
        network.fit(clips, labels, shuffle=False, verbose=0)
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(array(one), array(other))
    for weight, value in zip(again.get_layer("stem").weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), value)


def test_weights_alone_resume_a_frozen_network(tmp_path):
    model, again = (models.T3D(SHAPE, 2, **TINY) for _ in range(2))
    model.get_layer("block1").norms1[0].trainable = False
    model.save_weights(tmp_path / "a.weights.h5")
    again.get_layer("stem").trainable = False  # what is frozen does not change their order
    again.load_weights(tmp_path / "a.weights.h5")
    for one, other in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(array(one), array(other)), one.path
    again = models.T3D(SHAPE, 2, **TINY, weights=tmp_path / "a.weights.h5")
    assert again.copy_weights_from(model) == []
