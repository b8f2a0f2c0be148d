"""Hara et al.'s R(2+1)D networks: 3D ResNets with factorized convolutions."""

from __future__ import annotations

import functools

from keras_t3d.models.registry import register
from keras_t3d.models.residual_names import HARA_2PLUS1D
from keras_t3d.models.resnet3d import ResNet3D

__all__ = ["ResNet2Plus1D18", "ResNet2Plus1D34", "ResNet2Plus1D50"]

_register = functools.partial(
    register,
    ResNet3D,
    checkpoint=HARA_2PLUS1D,
    stage_convolutions=("2plus1d_each",) * 4,
    stem_middle_filters=110,
)
ResNet2Plus1D18 = _register(
    "ResNet2Plus1D18",
    "resnet2plus1d_18",
    "R(2+1)D-18 of Hara et al.: 2 basic blocks per stage, and a stem with a pool.",
    stage_blocks=(2, 2, 2, 2),
    block="basic",
)
ResNet2Plus1D34 = _register(
    "ResNet2Plus1D34",
    "resnet2plus1d_34",
    "R(2+1)D-34 of Hara et al.: 3, 4, 6 and 3 basic blocks, and a stem with a pool.",
    stage_blocks=(3, 4, 6, 3),
    block="basic",
)
ResNet2Plus1D50 = _register(
    "ResNet2Plus1D50",
    "resnet2plus1d_50",
    "R(2+1)D-50 of Hara et al.: bottlenecks whose 3x3x3 convolution is factorized.",
    stage_blocks=(3, 4, 6, 3),
    block="bottleneck",
)
