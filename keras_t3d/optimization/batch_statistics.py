"""Batch norm statistics: synchronized over devices, and recomputed precisely."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.private_interfaces import flatten_layers


def batch_norms(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns the trainable batch norm layers of a network."""
    return [
        layer
        for layer in flatten_layers(network)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def freeze_batch_norms(network: keras.Model) -> int:
    """Freezes all batch norm layers of a network, those inside blocks too.

    A loop over `network.layers` misses those, as a block is one layer. A frozen batch norm
    normalizes by its moving averages, which stay as they are, and its scale and offset stay too.

    Args:
        network: the network, before it is compiled. Its file keeps the layers frozen.

    Returns:
        The number of layers that were frozen.

    Example:

    ```python
    freeze_batch_norms(model)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    ```
    """
    layers = batch_norms(network)
    for layer in layers:
        layer.trainable = False
    return len(layers)


def synchronize_batch_norms(network: keras.Model) -> int:
    """Makes batch norm layers compute their statistics over all devices of a strategy.

    For small batches per device. The setting is not saved with the network. On JAX, statistics
    are always computed over all devices.

    Args:
        network: the network, before it is compiled.

    Returns:
        The number of batch norm layers.

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
    """Replaces the moving averages of batch norm by the statistics of the given batches.

    Moving averages lag behind the weights, and depend most on the last few batches. Here means
    and variances are computed over all batches with the current weights.

    Args:
        network: the network.
        run: runs the network on a batch with `training=True`, and changes nothing but the
            moving averages.
        batches: at least one batch; all of the same size.

    Returns:
        The number of batches.

    Raises:
        InvalidArgumentError: if there is no batch.

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
        raise InvalidArgumentError(
            "`batches` must hold at least one batch. Received: none", argument="batches"
        )
    for layer, moments in zip(layers, zip(*seen, strict=True), strict=True):
        means, variances = (np.stack(values) for values in zip(*moments, strict=True))
        _set(layer, means.mean(0), variances.mean(0) + means.var(0))
    return len(seen)


def _batch_moments(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance of the only batch since the averages were set to zero."""
    moved = (layer.moving_mean, layer.moving_variance)
    mean, variance = (keras.ops.convert_to_numpy(value).astype(np.float64) for value in moved)
    return mean / (1.0 - layer.momentum), variance / (1.0 - layer.momentum)


def _set(layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(variance.astype(np.float32))
