"""Configurations of layers, which follow from the arguments of their classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras


class ConfiguredLayer(keras.layers.Layer):
    """A layer that keeps every argument of its class as an attribute of the same name."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for cls in type(self).__mro__[: type(self).__mro__.index(ConfiguredLayer)]:
            signature = inspect.signature(cls.__init__)  # type: ignore[misc]
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and hasattr(self, name):
                    config[name] = as_plain(getattr(self, name))
        return config


def as_plain(value: Any) -> Any:
    """Returns a value of a configuration as `.keras` files hold it: no tuples, no objects."""
    if isinstance(value, keras.initializers.Initializer):
        return keras.initializers.serialize(value)
    if callable(value):
        return keras.activations.serialize(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (tuple, list)) else value
