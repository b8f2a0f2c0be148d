"""Loss scaling for networks that compute in float16."""

from __future__ import annotations

from typing import Any

import keras

from keras_t3d.private_interfaces import flatten_layers


def with_loss_scaling(optimizer: Any, network: keras.Model) -> Any:
    """Returns an optimizer that scales the loss, if layers of the network need it.

    Keras looks at the model's own dtype policy only, which is the global one, not that of its
    layers.

    Args:
        optimizer: as for `keras.Model.compile`: an optimizer, its name or configuration, or None.
        network: network of any layers, nested ones too.

    Returns:
        The optimizer, in a `LossScaleOptimizer` if a layer with float32 weights computes in
        float16 and there is none yet.
    """
    optimizer = keras.optimizers.get(optimizer)
    is_scaled = optimizer is None or isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if is_scaled or not any(_is_mixed_float16(layer) for layer in flatten_layers(network)):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")


def _is_mixed_float16(layer: Any) -> bool:
    return (layer.compute_dtype, layer.variable_dtype) == ("float16", "float32")
