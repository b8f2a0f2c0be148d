"""Gradients of operations, and graphs that the process gives back, under TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.layers.operations.custom_gradient import custom_gradient
from tests import forked


@custom_gradient
def scaled(x, factor):
    """Multiplies; its gradient is 10 times the right one, which shows that it is used."""

    def gradient(upstream):
        return 10 * upstream * factor, 10 * tf.reduce_sum(upstream * x)

    return x * factor, gradient


def gradients_of(x, factor):
    with tf.GradientTape() as tape:
        tape.watch((x, factor))
        y = tf.reduce_sum(scaled(x, factor) ** 2)
    return tape.gradient(y, (x, factor))


X, FACTOR = tf.constant([1.0, 2.0]), tf.constant(3.0)
EXPECTED = ([180.0, 360.0], 300.0)  # 10 * 2 * x * factor^2, 10 * sum(2 * x^2 * factor)


def inside(x, factor):
    return tf.function(gradients_of)(x, factor)


def outside(x, factor):
    with tf.GradientTape() as tape:
        tape.watch((x, factor))
        y = tf.function(lambda x, factor: tf.reduce_sum(scaled(x, factor) ** 2))(x, factor)
    return tape.gradient(y, (x, factor))


def nested(x, factor):
    return tf.function(outside)(x, factor)


def by_graph(x, factor):
    @tf.function
    def gradients(x, factor):
        return tf.gradients(tf.reduce_sum(scaled(x, factor) ** 2), (x, factor))

    return gradients(x, factor)


def compiled(x, factor):
    return tf.function(gradients_of, jit_compile=True)(x, factor)


@pytest.mark.parametrize("way", [gradients_of, inside, outside, nested, by_graph, compiled])
def test_the_gradient_is_used_wherever_it_is_taken(way):
    for found, expected in zip(way(X, FACTOR), EXPECTED, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_result_without_a_gradient():
    @custom_gradient
    def parts(x):
        return (x * 2, x * 3), lambda first, second: first * 100 + second

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(parts(x)[0])
        return tape.gradient(y, x)

    np.testing.assert_allclose(gradient(X), [100.0, 100.0])


def test_second_derivatives():
    @custom_gradient
    def cubed(x):
        return x**3, lambda upstream: upstream * 3 * x**2

    @tf.function
    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = cubed(x)
            first = inner.gradient(y, x)
        return outer.gradient(first, x)

    np.testing.assert_allclose(second(X), [6.0, 12.0])


# All operations with a gradient of their own: by taps, padded, grouped, matrices, pool.
TRACED = """
import gc, weakref
import keras, tensorflow as tf
from keras_t3d.layers import ClipConv3D, ClipMaxPooling3D
from keras_t3d.models import ResNet3D

def traced(training):
    options = {"stage_blocks": (1, 1), "stage_filters": (4, 4), "groups": 2, "expansion": 2}
    network = ResNet3D((4, 16, 16, 3), 2, block="bottleneck", rematerialize=True, **options)
    extra = keras.Sequential([ClipConv3D(3, 3, strides=2), ClipMaxPooling3D(3, 2)])

    @tf.function
    def run(clips):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(network(clips, training=training)) + tf.reduce_sum(extra(clips))
        return tape.gradient(y, network.trainable_variables) if training else y

    graph = run.get_concrete_function(tf.TensorSpec((1, 4, 16, 16, 3))).graph
    return weakref.ref(graph), weakref.ref(network.get_layer("logits").kernel.value)

for training in (False, True):
    references = traced(training)
    gc.collect()
    print([reference() is None for reference in references])
"""


@pytest.mark.process  # other tests may leave what keeps graphs, such as an open profile
def test_a_traced_network_is_given_back():
    done = forked.run(["-c", TRACED], check=True)
    assert done.stdout.splitlines() == ["[True, True]"] * 2, done.stdout
