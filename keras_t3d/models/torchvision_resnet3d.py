"""torchvision's video networks: ResNet3D-18 with 3D, mixed and (2+1)D convolutions."""

from __future__ import annotations

import functools

from keras_t3d.models.registry import register
from keras_t3d.models.residual_names import TORCH_LAYERS, block_path
from keras_t3d.models.resnet3d import ResNet3D
from keras_t3d.models.weight_names import CheckpointLayout, LayerNames

__all__ = ["MC3D18", "R3D18", "R2Plus1D18"]

# torchvision's video networks have each convolution and its batch normalization in a Sequential.
TORCHVISION_LAYERS: LayerNames = (
    (r"stem\.0", "stem/conv"),
    (r"stem\.1", "stem/bn"),
    (r"layer(\d+)\.(\d+)\.conv([12])\.0", lambda s, b, i: f"{block_path(s, b)}/conv{i}"),
    (r"layer(\d+)\.(\d+)\.conv([12])\.1", lambda s, b, i: f"{block_path(s, b)}/bn{i}"),
    *TORCH_LAYERS[2:],
)
_PARTS = {"0": "space_conv", "1": "bn", "3": "time_conv"}  # of a (2+1)D convolution
TORCHVISION_2PLUS1D_LAYERS: LayerNames = (
    (r"stem\.([013])", lambda part: f"stem/conv/{_PARTS[part]}"),
    (r"stem\.4", "stem/bn"),
    (
        r"layer(\d+)\.(\d+)\.conv([12])\.0\.([013])",
        lambda s, b, i, part: f"{block_path(s, b)}/conv{i}/{_PARTS[part]}",
    ),
    *TORCHVISION_LAYERS[3:],
)

# torchvision reads 15 frames per second, every second frame of most videos.
TORCHVISION = CheckpointLayout(TORCHVISION_LAYERS, frame_stride=2, normalization="torchvision")
TORCHVISION_2PLUS1D = CheckpointLayout(
    TORCHVISION_2PLUS1D_LAYERS, frame_stride=2, normalization="torchvision"
)

_register = functools.partial(
    register, ResNet3D, stem_kernel=(3, 7, 7), stem_stride=(1, 2, 2), stem_pool_stride=None
)
R3D18 = _register(
    "R3D18",
    "r3d_18",
    "torchvision's r3d_18: 3D convolutions, and a stem without a pool.",
    checkpoint=TORCHVISION,
)
MC3D18 = _register(
    "MC3D18",
    "mc3_18",
    "torchvision's mc3_18: 3D convolutions in the first stage, 2D ones after it.",
    checkpoint=TORCHVISION,
    stage_convolutions=("3d", "2d", "2d", "2d"),
)
R2Plus1D18 = _register(
    "R2Plus1D18",
    "r2plus1d_18",
    "torchvision's r2plus1d_18: factorized convolutions.",
    checkpoint=TORCHVISION_2PLUS1D,
    stage_convolutions=("2plus1d",) * 4,
    stem_middle_filters=45,
)
