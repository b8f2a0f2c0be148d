"""The networks, by class, by factory function and by name."""

import keras as _keras  # noqa: F401  (first, so that registration.py runs before our modules)

from keras_t3d.models.densenet3d import T3D, DenseNet3D
from keras_t3d.models.named_networks import (
    MC3D18,
    R3D18,
    T3D121,
    T3D169,
    DenseNet3D121,
    DenseNet3D169,
    DenseNet3D201,
    R2Plus1D18,
    ResNet3D18,
    ResNet3D34,
    ResNet3D50,
    ResNet3D101,
    ResNet3D152,
    ResNeXt3D50,
    ResNeXt3D101,
    STCResNet3D18,
    STCResNet3D50,
    STCResNet3D101,
    STCResNeXt3D50,
    STCResNeXt3D101,
    T3DTiny,
)
from keras_t3d.models.names import create, list_models
from keras_t3d.models.resnet3d import ResNet3D
from keras_t3d.models.video_classifier import VideoClassifier

__all__ = [
    "MC3D18",
    "R3D18",
    "T3D",
    "T3D121",
    "T3D169",
    "DenseNet3D",
    "DenseNet3D121",
    "DenseNet3D169",
    "DenseNet3D201",
    "R2Plus1D18",
    "ResNeXt3D50",
    "ResNeXt3D101",
    "ResNet3D",
    "ResNet3D18",
    "ResNet3D34",
    "ResNet3D50",
    "ResNet3D101",
    "ResNet3D152",
    "STCResNeXt3D50",
    "STCResNeXt3D101",
    "STCResNet3D18",
    "STCResNet3D50",
    "STCResNet3D101",
    "T3DTiny",
    "VideoClassifier",
    "create",
    "list_models",
]
