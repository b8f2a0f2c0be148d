"""How weights move: the training step on any number of devices, optimizers, learning rates."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.optimization.batch_statistics import (
        precise_batch_statistics,
        synchronize_batch_norms,
    )
    from keras_t3d.optimization.cross_entropy import CrossEntropy
    from keras_t3d.optimization.learner import Learner
    from keras_t3d.optimization.optimizers import make_optimizer
    from keras_t3d.optimization.schedules import WarmUp, plateau_rate
    from keras_t3d.optimization.weight_averages import average_of_weights

_ROOMS = {
    "CrossEntropy": "cross_entropy",
    "Learner": "learner",
    "WarmUp": "schedules",
    "average_of_weights": "weight_averages",
    "make_optimizer": "optimizers",
    "plateau_rate": "schedules",
    "precise_batch_statistics": "batch_statistics",
    "synchronize_batch_norms": "batch_statistics",
}
__all__ = [
    "CrossEntropy",
    "Learner",
    "WarmUp",
    "average_of_weights",
    "make_optimizer",
    "plateau_rate",
    "precise_batch_statistics",
    "synchronize_batch_norms",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.optimization.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.optimization' has no attribute {name!r}")
