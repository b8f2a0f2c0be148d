"""Weights from elsewhere: checkpoints of PyTorch, and networks inflated from images to clips.

Names load when first used: reading the class names imports neither Keras nor PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.transfer.inflation import InflationReport, inflate
    from keras_t3d.transfer.kinetics400 import kinetics400_classes
    from keras_t3d.transfer.torch_weights import ImportedWeights, import_weights

_ROOMS = {
    "ImportedWeights": "torch_weights",
    "InflationReport": "inflation",
    "import_weights": "torch_weights",
    "inflate": "inflation",
    "kinetics400_classes": "kinetics400",
}
__all__ = [
    "ImportedWeights",
    "InflationReport",
    "import_weights",
    "inflate",
    "kinetics400_classes",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.transfer.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.transfer' has no attribute {name!r}")
