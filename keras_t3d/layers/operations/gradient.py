"""Gradients of functions with respect to a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def with_gradient(function: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    """Returns a function that computes further results of `function`, and a gradient.

    Args:
        function: `function(x, *others)` returns a scalar, and a nest of further results. TensorFlow
            and JAX trace it once for all arguments of the same shapes.

    Returns:
        A function from the same arguments, tensors, to the further results and the gradient of the
        scalar for x.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _in_tensorflow(function)
    if backend == "torch":
        return _in_torch(function)
    return _in_jax(function)


def _in_tensorflow(function: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    import tensorflow as tf

    @tf.function
    def computed(x: Any, *others: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            scalar, results = function(x, *others)
        return results, tape.gradient(scalar, x)

    return computed


def _in_torch(function: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    import torch

    def computed(x: Any, *others: Any) -> tuple[Any, Any]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            scalar, results = function(x, *others)
            (gradient,) = torch.autograd.grad(scalar, x)
        return keras.tree.map_structure(lambda result: result.detach(), results), gradient

    return computed


def _in_jax(function: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    import jax

    differentiated = jax.jit(jax.value_and_grad(function, has_aux=True))

    def computed(x: Any, *others: Any) -> tuple[Any, Any]:
        (_, results), gradient = differentiated(x, *others)
        return results, gradient

    return computed
