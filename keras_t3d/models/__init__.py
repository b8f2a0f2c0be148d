"""The networks, by class, by factory function and by name."""

import keras as _keras  # noqa: F401  (first, so that registration.py runs before our modules)

from keras_t3d.models.densenet3d import (
    T3D,
    T3D121,
    T3D169,
    DenseNet3D,
    DenseNet3D121,
    DenseNet3D169,
    DenseNet3D201,
    T3DTiny,
)
from keras_t3d.models.names import create, list_models
from keras_t3d.models.video_classifier import VideoClassifier

__all__ = [
    "T3D",
    "T3D121",
    "T3D169",
    "DenseNet3D",
    "DenseNet3D121",
    "DenseNet3D169",
    "DenseNet3D201",
    "T3DTiny",
    "VideoClassifier",
    "create",
    "list_models",
]
