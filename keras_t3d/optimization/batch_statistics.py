"""Batch norm's statistics: over all devices, and measured afresh."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np


def batch_norms(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns the batch norm layers of a network that are trained."""
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def synchronize_batch_norms(network: keras.Model) -> int:
    """Makes batch norms take their statistics over all devices of a strategy.

    For batches of few clips a device. It is not saved with the network: it says how to
    train, not what to compute. With JAX they do so anyway.

    Args:
        network: keras.Model, before it is compiled.

    Returns:
        int. Batch norms that now do.

    Example:

    ```python
    with tf.distribute.MirroredStrategy().scope():
        model = keras_t3d.models.T3D121(input_shape=(16, 112, 112, 3), num_classes=101)
        synchronize_batch_norms(model)
    ```
    """
    layers = batch_norms(network)
    if keras.backend.backend() == "tensorflow":
        for layer in layers:
            layer.synchronized = True
    return len(layers)


def precise_batch_statistics(
    network: keras.Model, run: Callable[[Any], Any], batches: Iterable[Any]
) -> int:
    """Sets batch norms' averages to the statistics of the given batches, all alike.

    The moving averages follow weights that have moved on, and weigh the last few batches
    most. Here means and variances are those over all batches with the weights as they are.

    Args:
        network: keras.Model.
        run: function of a batch that runs the network with `training=True` and changes
            nothing but the averages.
        batches: at least one batch; all of one size.

    Returns:
        int. Batches seen.

    Raises:
        ValueError: if there is no batch.

    Example:

    ```python
    precise_batch_statistics(model, lambda clips: model(clips, training=True), batches)
    ```

    Reference:
        Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021 (arXiv 2105.07576).
    """
    layers = batch_norms(network)
    seen: list[list[tuple[np.ndarray, np.ndarray]]] = []
    for batch in batches:
        for layer in layers:
            _set(layer, np.zeros(layer.moving_mean.shape), np.zeros(layer.moving_mean.shape))
        run(batch)
        seen.append([_batch_moments(layer) for layer in layers])
    if not seen:
        raise ValueError("precise_batch_statistics: needs at least one batch. Received: none")
    for layer, moments in zip(layers, zip(*seen, strict=True), strict=True):
        means, variances = (np.stack(values) for values in zip(*moments, strict=True))
        _set(layer, means.mean(0), variances.mean(0) + means.var(0))
    return len(seen)


def _batch_moments(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """The mean and variance of the batch that alone moved the averages from zero."""
    moved = (layer.moving_mean, layer.moving_variance)
    mean, variance = (keras.ops.convert_to_numpy(value).astype(np.float64) for value in moved)
    return mean / (1.0 - layer.momentum), variance / (1.0 - layer.momentum)


def _set(layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(variance.astype(np.float32))
