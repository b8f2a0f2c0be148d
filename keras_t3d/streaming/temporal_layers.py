"""Which frames a layer reads in a step of a stream: the step's own, or others before them."""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_t3d.layers import ClipBatchNormalization, ClipConv3D, ClipMaxPooling3D, ClipNormalization
from keras_t3d.private_interfaces import operation_name
from keras_t3d.streaming.errors import StreamingError

# Layers and functions of `keras.ops` that compute each frame by itself, on channels.
_FRAME_BY_FRAME: tuple[type[Any], ...] = (
    ClipBatchNormalization,
    ClipNormalization,
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout3D,
    layers.Subtract,
)
_FUNCTIONS = frozenset(
    "Absolute Add Cast Concatenate Divide Gelu Maximum Minimum Multiply Negative Relu Relu6 "
    "Sigmoid Silu Subtract Tanh TrueDivide".split()
)
_POOLS = (layers.AveragePooling3D, layers.MaxPooling3D)


def past_frames(layer: ClipConv3D | ClipMaxPooling3D) -> int:
    """Returns the number of frames before those of a step that a layer reads in it.

    Raises:
        StreamingError: if it reads later ones too.
    """
    size = (layer.kernel_size if isinstance(layer, ClipConv3D) else layer.pool_size)[0]
    stride = layer.strides[0]
    if not layer.causal and max(size, stride) > 1:
        raise StreamingError(layer, "is not causal")
    return max(size - stride, 0)


def check_reads_own_frames(layer: Any) -> None:
    """Raises StreamingError unless a layer reads the frames of a step only, or each by itself."""
    if type(layer) in _POOLS or type(layer) is layers.Conv3D:
        size = (layer.kernel_size if type(layer) is layers.Conv3D else layer.pool_size)[0]
        stride = layer.strides[0]
        # Without padding, windows that do not overlap are whole in a step.
        if size > stride or (layer.padding != "valid" and stride > 1):
            raise StreamingError(layer, "pads time at both ends, or reads earlier steps")
    elif type(layer) is layers.ZeroPadding3D:
        if layer.padding[0] != (0, 0):
            raise StreamingError(layer, "pads time")
    elif type(layer) not in _FRAME_BY_FRAME and operation_name(layer) not in _FUNCTIONS:
        raise StreamingError(layer, "may read a whole clip")
    elif getattr(layer, "axis", -1) not in (-1, 4):
        raise StreamingError(layer, f"computes axis {layer.axis}, not the channels")
