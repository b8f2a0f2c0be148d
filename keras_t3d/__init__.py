"""Video classification with 3D networks in Keras 3: T3D and its family.

Submodules load when they are first used: `import keras_t3d` alone brings in
neither Keras nor a deep-learning backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_t3d.clips import ClipSpec
from keras_t3d.registration import register_with_keras
from keras_t3d.version import __version__

if TYPE_CHECKING:
    from keras_t3d import data, deploy, evaluation, inference, layers, models, transfer

__all__ = [
    "ClipSpec",
    "__version__",
    "data",
    "deploy",
    "evaluation",
    "inference",
    "layers",
    "models",
    "transfer",
]

_SUBMODULES = ("data", "deploy", "evaluation", "inference", "layers", "models", "transfer")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"keras_t3d.{name}")
    raise AttributeError(f"module 'keras_t3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


register_with_keras()
