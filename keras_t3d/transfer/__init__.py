"""What a network knows from elsewhere: checkpoints of PyTorch, weights inflated from images to
clips, and 2D networks that teach 3D ones.

Names load when first used: reading the class names imports neither Keras nor PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.transfer.feature_cache import write_frame_features
    from keras_t3d.transfer.feature_regression import FeatureRegression
    from keras_t3d.transfer.frame_clip_contrast import FrameClipContrast
    from keras_t3d.transfer.frame_clip_matching import FrameClipMatching
    from keras_t3d.transfer.frame_teacher import FrameTeacher, load_teacher
    from keras_t3d.transfer.inflation import InflationReport, inflate
    from keras_t3d.transfer.kinetics400 import kinetics400_classes
    from keras_t3d.transfer.torch_weights import ImportedWeights, import_weights

_ROOMS = {
    "FeatureRegression": "feature_regression",
    "FrameClipContrast": "frame_clip_contrast",
    "FrameClipMatching": "frame_clip_matching",
    "FrameTeacher": "frame_teacher",
    "ImportedWeights": "torch_weights",
    "InflationReport": "inflation",
    "import_weights": "torch_weights",
    "inflate": "inflation",
    "kinetics400_classes": "kinetics400",
    "load_teacher": "frame_teacher",
    "write_frame_features": "feature_cache",
}
__all__ = [
    "FeatureRegression",
    "FrameClipContrast",
    "FrameClipMatching",
    "FrameTeacher",
    "ImportedWeights",
    "InflationReport",
    "import_weights",
    "inflate",
    "kinetics400_classes",
    "load_teacher",
    "write_frame_features",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.transfer.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.transfer' has no attribute {name!r}")
