"""A layer made of layers computes what its `compose` says."""

import numpy as np
import pytest

from keras_t3d import layers
from keras_t3d.layers.composite import CompositeLayer
from keras_t3d.layers.rematerialization import InTurn
from tests.battery import array

CLIPS = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 6)).astype("float32")


class TwoNorms(CompositeLayer):
    """The same normalisation twice, in two parts, each added to what it reads."""

    def __init__(self, twice=False):
        super().__init__()
        self.twice = twice
        self.norm = layers.ClipBatchNormalization()

    @property
    def rematerialized(self):
        return self.twice

    def build(self, input_shape):
        self.norm.build(input_shape)
        self.built = True

    def compose(self, run, clips):
        for _ in range(2):
            clips = run(lambda apply, x: x + apply(self.norm, x), [self.norm], [clips])
        return clips


@pytest.mark.parametrize("twice", [False, True])
def test_parts_are_run_as_keras_layers(twice):
    layer, norm = TwoNorms(twice), layers.ClipBatchNormalization()
    for training in (True, False):
        x = CLIPS
        for _ in range(2):
            x = x + array(norm(x, training=training))
        np.testing.assert_allclose(array(layer(CLIPS, training=training)), x, rtol=1e-5, atol=1e-5)
    for mine, expected in zip(layer.get_weights(), norm.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


def test_parts_are_not_computed_twice_unless_it_is_said():
    assert CompositeLayer().rematerialized is False


class Late(CompositeLayer):
    """A composite whose layers have no names, one of which is made when it is built."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norms = [layers.ClipBatchNormalization(**self.inherited)]

    def build(self, input_shape):
        self.norms.append(layers.ClipBatchNormalization(**self.inherited))
        for norm in self.norms:
            norm.build(input_shape)
        self.restore_trainable_flags()
        self.built = True

    def compose(self, run, clips):
        return run(InTurn(self.norms), self.norms, [clips])


def test_layers_without_names_stay_frozen():
    layer = Late()
    layer.build(CLIPS.shape)
    layer.norms[1].trainable = False
    again = Late.from_config(layer.get_config())
    assert again.get_config()["inner_trainable"] == {"1": False}  # not built
    again.build(CLIPS.shape)
    assert [norm.trainable for norm in again.norms] == [True, False]
    again.norms[1].trainable = True
    assert "inner_trainable" not in again.get_config()


def test_layers_of_a_frozen_composite_are_frozen():
    layer = Late(trainable=False)
    before = array(layer(CLIPS, training=False))
    assert np.array_equal(array(layer(CLIPS, training=True)), before)
    layer.trainable = True
    assert not np.array_equal(array(layer(CLIPS, training=True)), before)


def test_a_composite_without_compose_says_what_it_lacks():
    class Nothing(CompositeLayer):
        pass

    with pytest.raises(NotImplementedError, match=r"compose\(run, clips\).*Received: .* Nothing"):
        Nothing()(CLIPS)
