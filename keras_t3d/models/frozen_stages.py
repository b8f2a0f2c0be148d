"""The beginning of a network that training does not change."""

from __future__ import annotations

from typing import Any

import keras

from keras_t3d.private_interfaces import flatten_layers


def split_after_frozen(network: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Splits a network after the layers that compute the same before and after training.

    These are frozen, use nothing random, and everything after them depends on the output of the
    last of them alone.

    Args:
        network: a functional model with one input and one output.

    Returns:
        The beginning and the rest, which share the network's layers; the rest reads the output
        of the beginning. None if the network trains from its input on.

    Example:

    ```python
    model = keras_t3d.models.T3DTiny((8, 32, 32, 3), num_classes=2)
    model.get_layer("stem").trainable = False
    beginning, rest = split_after_frozen(model)
    logits = rest(beginning(np.zeros((1, 8, 32, 32, 3), "uint8")))
    ```
    """
    fixed = []
    for layer in network.layers:
        if not _is_fixed(layer):
            break
        fixed.append(layer)
    for layer in reversed(fixed):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        end: Any = layer.output
        try:
            rest = keras.Model(end, network.outputs[0])
        except ValueError:  # something after the layer reads what comes before it
            continue
        return keras.Model(network.inputs[0], end), rest
    return None


def _is_fixed(layer: Any) -> bool:
    return not layer.trainable_variables and not any(
        hasattr(part, "seed_generator")
        or (isinstance(part, keras.layers.BatchNormalization) and part.trainable)
        for part in flatten_layers(layer)
    )
