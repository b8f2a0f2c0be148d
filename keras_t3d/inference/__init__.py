"""From a video file to class names and probabilities, with any of three predictors.

Names load when first used: a LiteRT model needs no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.inference.load import load_predictor
    from keras_t3d.inference.predict import predict_video
    from keras_t3d.inference.predictor import Predictor

_ROOMS = {"Predictor": "predictor", "load_predictor": "load", "predict_video": "predict"}
__all__ = ["Predictor", "load_predictor", "predict_video"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.inference.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.inference' has no attribute {name!r}")
