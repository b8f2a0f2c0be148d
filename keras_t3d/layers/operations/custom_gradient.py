"""Functions with a gradient of their own in TensorFlow, whose graphs can be collected."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from keras_t3d.private_interfaces import identity_with_gradient


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Does what `tf.custom_gradient` does, for functions of tensors only.

    `tf.custom_gradient` keeps each graph that calls the function, with all constants and variables
    of the graph, in a registry of the process. Here the graph itself keeps the gradient.

    Args:
        function: maps tensors to a tensor or a tuple of tensors, and a function from the gradients
            of these to those of the arguments. It must not read variables.
    """

    @functools.wraps(function)
    def computed(*arguments: Any) -> Any:
        import tensorflow as tf

        if tf.executing_eagerly():  # then nothing is registered
            return tf.custom_gradient(function)(*arguments)
        tensors = [tf.convert_to_tensor(argument) for argument in arguments]
        results, gradient = function(*tensors)
        flat = tf.nest.flatten(results)

        def to_all(*upstream: Any) -> list[Any]:
            of_arguments = tf.nest.flatten(gradient(*upstream[: len(flat)]))
            return [None] * len(flat) + of_arguments

        # The arguments go through too, so that they are what the gradient flows to.
        outputs = identity_with_gradient([*flat, *tensors], to_all)
        return tf.nest.pack_sequence_as(results, outputs[: len(flat)])

    return computed
