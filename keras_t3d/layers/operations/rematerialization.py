"""Recomputation of a function for its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_t3d.layers.operations.custom_gradient import custom_gradient


def skips_unused_work() -> bool:
    """Returns whether a recomputed part runs as a graph, without what the gradient never reads."""
    return keras.backend.backend() != "torch"


def rematerialize(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that keeps only its arguments, and recomputes the rest for the gradient.

    Args:
        function: maps tensors to a tuple of tensors; pure, as it runs twice.
    """
    if keras.backend.backend() == "tensorflow":
        return _rematerialize_in_tensorflow(function)
    return keras.remat(function)


def _rematerialize_in_tensorflow(function: Callable[..., Any]) -> Callable[..., Any]:
    """Does what `tf.recompute_grad` does, which copies every argument first."""
    import tensorflow as tf

    @custom_gradient
    def forwards(*arguments: Any) -> Any:
        def gradient(*upstream: Any) -> Any:
            # Wait for the gradient: otherwise the executor recomputes at once and keeps it all.
            with tf.control_dependencies(upstream):
                again = [tf.identity(argument) for argument in arguments]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = function(*again)
            return tape.gradient(outputs, again, upstream)

        return function(*arguments), gradient

    return forwards
