"""How Keras has adapted the layers of a network since it was built: LoRA and quantization.

A network family is rebuilt from its options, which do not know of `layer.enable_lora` and
`model.quantize`. So a configuration lists the adapted layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def describe_adapted_layers(network: keras.Model) -> dict[str, dict[str, Any]]:
    """Returns what `adapt_layers` needs, by name of layer; empty if no layer is adapted."""
    described = {layer.name: _describe(layer) for layer in network.layers}
    return {name: adaptation for name, adaptation in described.items() if adaptation}


def _describe(layer: keras.layers.Layer) -> dict[str, Any]:
    adaptation: dict[str, Any] = {}
    if getattr(layer, "quantization_config", None) is not None:
        adaptation["quantization"] = keras.saving.serialize_keras_object(layer.quantization_config)
    if getattr(layer, "lora_enabled", False):
        adaptation["lora"] = {"rank": layer.lora_rank, "lora_alpha": layer.lora_alpha}
    return adaptation


def adapt_layers(network: keras.Model, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Adapts the layers of a network as those of another one, whose weights it will take."""
    for name, adaptation in described.items():
        layer = network.get_layer(name)
        if "quantization" in adaptation:
            config = keras.saving.deserialize_keras_object(adaptation["quantization"])
            layer.quantize(config=config)
        if "lora" in adaptation:
            layer.enable_lora(**adaptation["lora"])
