"""From a trained network to what runs elsewhere: a SavedModel to serve, a LiteRT file for a phone.

The functions load when they are first used, so that importing this package
imports no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.deploy.litert import export_tflite
    from keras_t3d.deploy.saved_model import export_saved_model
    from keras_t3d.deploy.serving_client import ServingClient, ServingError, connect, query

__all__ = [
    "ServingClient",
    "ServingError",
    "connect",
    "export_saved_model",
    "export_tflite",
    "query",
]

_HOMES = {
    "ServingClient": "keras_t3d.deploy.serving_client",
    "ServingError": "keras_t3d.deploy.serving_client",
    "connect": "keras_t3d.deploy.serving_client",
    "export_saved_model": "keras_t3d.deploy.saved_model",
    "export_tflite": "keras_t3d.deploy.litert",
    "query": "keras_t3d.deploy.serving_client",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'keras_t3d.deploy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
