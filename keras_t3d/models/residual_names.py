"""How published weights name the layers of residual networks."""

from __future__ import annotations

from typing import Any

from keras_t3d.models.weight_names import CheckpointLayout, ImageSource, LayerNames, Layers


def block_path(stage: str, index: str) -> str:
    """Returns the path of a block that PyTorch counts from 0."""
    return f"stage{stage}_block{int(index) + 1}"


# Hara et al.'s ResNets and ResNeXts, and torchvision's 2D ones.
TORCH_LAYERS: LayerNames = (
    (r"(conv|bn)1", r"stem/\1"),
    (r"layer(\d+)\.(\d+)\.(conv|bn)([123])", lambda s, b, kind, i: f"{block_path(s, b)}/{kind}{i}"),
    (r"layer(\d+)\.(\d+)\.downsample\.0", lambda s, b: f"{block_path(s, b)}/shortcut_conv"),
    (r"layer(\d+)\.(\d+)\.downsample\.1", lambda s, b: f"{block_path(s, b)}/shortcut_bn"),
    ("fc", "logits"),
)
KERAS_LAYERS: LayerNames = (
    (r"conv1_(conv|bn)", r"stem/\1"),
    (
        r"conv(\d+)_block(\d+)_([0-3])_(conv|bn)",
        lambda k, n, i, kind: (
            f"stage{int(k) - 1}_block{n}/" + (f"{kind}{i}" if i != "0" else f"shortcut_{kind}")
        ),
    ),
)


def hara_options(layers: Layers) -> dict[str, Any]:
    """Returns the options that the tensors of one of Hara et al.'s residual networks show."""
    options: dict[str, Any] = {}
    if not any(path.endswith("/shortcut_conv") for path in layers):
        options["shortcut"] = "zero_padding"
    kernels = {path: weights["kernel"] for path, weights in layers.items() if "kernel" in weights}
    if "stem/conv" in kernels:
        *size, _, filters = kernels["stem/conv"].shape
        options |= {"stem_kernel": tuple(size), "stem_filters": filters}
    if "stem/conv/space_conv" in kernels and "stem/conv/time_conv" in kernels:
        space, time = (kernels[f"stem/conv/{axis}_conv"].shape for axis in ("space", "time"))
        options |= {
            "stem_kernel": (time[0], *space[1:3]),
            "stem_middle_filters": space[-1],
            "stem_filters": time[-1],
        }
    return options


# (2+1)D networks of Hara et al.: `_s` in space, `_t` in time.
_PARTS = {"conv_s": "/space_conv", "bn_s": "/bn", "conv_t": "/time_conv"}


def _factorized(block: str, kind: str, index: str, axis: str) -> str:
    if (kind, axis) == ("bn", "t"):
        return f"{block}/bn{index}"
    return f"{block}/conv{index}{_PARTS[f'{kind}_{axis}']}"


TORCH_2PLUS1D_LAYERS: LayerNames = (
    (r"(conv|bn)1_([st])", lambda kind, axis: _factorized("stem", kind, "", axis)),
    (
        r"layer(\d+)\.(\d+)\.(conv|bn)([12])_([st])",
        lambda s, b, kind, i, axis: _factorized(block_path(s, b), kind, i, axis),
    ),
    *TORCH_LAYERS[1:],
)

HARA_STRIDES = ("stem_stride", "stem_pool_stride")  # which no file contains
HARA = CheckpointLayout(
    TORCH_LAYERS, frame_stride=1, options=hara_options, not_in_file=HARA_STRIDES
)
HARA_2PLUS1D = CheckpointLayout(
    TORCH_2PLUS1D_LAYERS, frame_stride=1, options=hara_options, not_in_file=HARA_STRIDES
)
# keras.applications.ResNet reads B, G, R in 0..255, subtracts means and does not divide.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)  # as (R, G, B)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
KERAS_IMAGES = ImageSource(KERAS_LAYERS, CAFFE_MEAN, CAFFE_STD, reads_bgr=True, strides_first=True)
