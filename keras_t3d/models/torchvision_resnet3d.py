"""torchvision's video networks: ResNet3D-18 with 3D, mixed and (2+1)D convolutions."""

from __future__ import annotations

import functools

from keras_t3d.models.published_weights import PublishedCheckpoint
from keras_t3d.models.registry import register
from keras_t3d.models.residual_names import TORCH_LAYERS, block_path
from keras_t3d.models.resnet3d import ResNet3D
from keras_t3d.models.weight_names import CheckpointLayout, LayerNames
from keras_t3d.weights.fetching import PublishedFile
from keras_t3d.weights.kinetics400 import kinetics400_classes

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


def _kinetics400(file: str, sha256: str, layout: CheckpointLayout) -> PublishedCheckpoint:
    return PublishedCheckpoint(
        name="kinetics400",
        file=PublishedFile(f"https://download.pytorch.org/models/{file}", sha256),
        license="BSD-3-Clause",
        authors="torchvision, https://github.com/pytorch/vision",
        dataset="Kinetics-400",
        preprocessing="16 frames at 15 per second, resized to 128 x 171, the central 112 x 112",
        layout=layout,
        class_names=kinetics400_classes,
    )


_register = functools.partial(
    register, ResNet3D, stem_kernel=(3, 7, 7), stem_stride=(1, 2, 2), stem_pool_stride=None
)
R3D18 = _register(
    "R3D18",
    "r3d_18",
    "torchvision's r3d_18: 3D convolutions, and a stem without a pool.",
    checkpoint=TORCHVISION,
    published=(
        _kinetics400(
            "r3d_18-b3b3357e.pth",
            "b3b3357ead25631ec9c57362ff2128a92d0427e01e2cd184951a44380c3f2e9d",
            TORCHVISION,
        ),
    ),
)
MC3D18 = _register(
    "MC3D18",
    "mc3_18",
    "torchvision's mc3_18: 3D convolutions in the first stage, 2D ones after it.",
    checkpoint=TORCHVISION,
    published=(
        _kinetics400(
            "mc3_18-a90a0ba3.pth",
            "a90a0ba35ca1242d15b77511ff28bfb29cc596988b5ea36081042f8e2f54212b",
            TORCHVISION,
        ),
    ),
    stage_convolutions=("3d", "2d", "2d", "2d"),
)
R2Plus1D18 = _register(
    "R2Plus1D18",
    "r2plus1d_18",
    "torchvision's r2plus1d_18: factorized convolutions.",
    checkpoint=TORCHVISION_2PLUS1D,
    published=(
        _kinetics400(
            "r2plus1d_18-91a641e6.pth",
            "91a641e6c2ab531d1aca5f4321b4d802ec5c3babc15df855cdb6e39c6a1107c8",
            TORCHVISION_2PLUS1D,
        ),
    ),
    stage_convolutions=("2plus1d",) * 4,
    stem_middle_filters=45,
)
