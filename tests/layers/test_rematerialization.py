"""Parts that are computed twice for the gradient train as if they had been kept."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import layers
from keras_t3d.layers.rematerialization import run
from tests.battery import randomize

COMPOSITES = {
    "stem": partial(layers.Stem3D, 4),
    "transition": partial(layers.TemporalTransition, 4, (1, 3, 6)),
    "transition_of_the_authors": partial(
        layers.TemporalTransition, 4, (1, 3), variant="authors_code"
    ),
    "factorized": partial(layers.FactorizedConv3D, 4, 5),
    "dense": partial(layers.DenseBlock3D, 2, 4),
    "basic": partial(layers.BasicBlock3D, 4, 2),
    "bottleneck": partial(layers.BottleneckBlock3D, 4, groups=2, stc="residual"),
}


@pytest.mark.parametrize(
    ("composite", "graph"),
    [
        *((composite, False) for composite in COMPOSITES),
        *((composite, True) for composite in ("transition", "dense", "bottleneck")),
    ],
)
def test_gradients_and_averages_are_the_same(composite, graph):
    clips = np.random.default_rng(0).normal(size=(2, 6, 8, 8, 16)).astype("float32")
    kept, again = (
        trained(COMPOSITES[composite](), clips, rematerialized, graph)
        for rematerialized in (False, True)
    )
    assert kept.keys() == again.keys()
    for name, value in kept.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(again[name], value, rtol=0, atol=1e-5 * scale, err_msg=name)


def trained(layer, clips, rematerialized, graph):
    """Gradients of the weights and of the clips, and the weights after a step."""
    layer.build(clips.shape)
    randomize(layer)
    # The batch norms' parameters must get gradients that differ from zero.
    upstream = np.random.default_rng(1).normal(size=layer.compute_output_shape(clips.shape))

    def gradients(clips):
        with tf.GradientTape() as tape:
            tape.watch(clips)
            y = layer.compose(partial(run, training=True, rematerialized=rematerialized), clips)
            loss = tf.reduce_sum(y * upstream.astype("float32"))
        return tape.gradient(loss, [clips, *layer.trainable_variables])

    found = (tf.function(gradients) if graph else gradients)(tf.constant(clips))
    names = ["clips", *[variable.path for variable in layer.trainable_variables]]
    found = {f"gradient of {name}": g.numpy() for name, g in zip(names, found, strict=True)}
    return {
        _without_number(name): value
        for name, value in {**found, **{w.path: w.numpy() for w in layer.weights}}.items()
    }


def _without_number(name):
    """The path without the layer's own name, which Keras numbers."""
    beginning, slash, rest = name.partition("/")
    return rest if slash else beginning
