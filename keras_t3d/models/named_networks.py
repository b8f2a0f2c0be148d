"""The networks that have names: what each class is built with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_t3d.models.densenet3d import T3D, DenseNet3D
from keras_t3d.models.resnet3d import ResNet3D

# 3D DenseNet and T3D.


def DenseNet3D121(*, input_shape: Sequence[int], **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 24 and 16 layers. See `DenseNet3D` for the arguments.

    Example:

    ```python
    model = keras_t3d.models.DenseNet3D121(input_shape=(16, 112, 112, 3), num_classes=101)
    ```
    """
    options = {"name": "densenet3d_121", "block_layers": (6, 12, 24, 16), **kwargs}
    return DenseNet3D(input_shape=input_shape, **options)


def DenseNet3D169(*, input_shape: Sequence[int], **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 32 and 32 layers. See `DenseNet3D` for the arguments."""
    options = {"name": "densenet3d_169", "block_layers": (6, 12, 32, 32), **kwargs}
    return DenseNet3D(input_shape=input_shape, **options)


def DenseNet3D201(*, input_shape: Sequence[int], **kwargs: Any) -> DenseNet3D:
    """DenseNet3D with blocks of 6, 12, 48 and 32 layers. See `DenseNet3D` for the arguments."""
    options = {"name": "densenet3d_201", "block_layers": (6, 12, 48, 32), **kwargs}
    return DenseNet3D(input_shape=input_shape, **options)


def T3D121(*, input_shape: Sequence[int], **kwargs: Any) -> T3D:
    """T3D with blocks of 6, 12, 24 and 16 layers. See `T3D` for the arguments.

    Example:

    ```python
    spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    model = keras_t3d.models.T3D121(
        input_shape=(16, 112, 112, 3), num_classes=2, class_names=["run", "walk"], clip_spec=spec
    )
    ```
    """
    options = {"name": "t3d_121", "block_layers": (6, 12, 24, 16), **kwargs}
    return T3D(input_shape=input_shape, **options)


def T3D169(*, input_shape: Sequence[int], **kwargs: Any) -> T3D:
    """T3D with blocks of 6, 12, 32 and 32 layers. See `T3D` for the arguments."""
    options = {"name": "t3d_169", "block_layers": (6, 12, 32, 32), **kwargs}
    return T3D(input_shape=input_shape, **options)


def T3DTiny(*, input_shape: Sequence[int], **kwargs: Any) -> T3D:
    """A T3D small enough to train on two CPU cores in minutes. See `T3D` for the arguments."""
    options = {
        "name": "t3d_tiny",
        "block_layers": (2, 3, 3),
        "growth_rate": 16,
        "bottleneck_factor": 2,
        "stem_filters": 24,
        "stem_kernel": (3, 5, 5),  # learns motion twice as fast as 7x7 on small frames
        "transition_filters": 16,
        **kwargs,
    }
    return T3D(input_shape=input_shape, **options)


# 3D ResNet and ResNeXt of Hara et al., and their STC forms.


def ResNet3D18(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-18: basic blocks, 2 a stage. See `ResNet3D` for the arguments."""
    return _resnet("resnet3d_18", "basic", (2, 2, 2, 2), input_shape, kwargs)


def ResNet3D34(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-34: 3, 4, 6 and 3 basic blocks. See `ResNet3D` for the arguments."""
    return _resnet("resnet3d_34", "basic", (3, 4, 6, 3), input_shape, kwargs)


def ResNet3D50(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-50: 3, 4, 6 and 3 bottleneck blocks. See `ResNet3D` for the arguments.

    Example:

    ```python
    model = keras_t3d.models.ResNet3D50(input_shape=(16, 112, 112, 3), num_classes=101)
    ```
    """
    return _resnet("resnet3d_50", "bottleneck", (3, 4, 6, 3), input_shape, kwargs)


def ResNet3D101(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-101: 3, 4, 23 and 3 bottleneck blocks. See `ResNet3D` for the arguments."""
    return _resnet("resnet3d_101", "bottleneck", (3, 4, 23, 3), input_shape, kwargs)


def ResNet3D152(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-152: 3, 8, 36 and 3 bottleneck blocks. See `ResNet3D` for the arguments."""
    return _resnet("resnet3d_152", "bottleneck", (3, 8, 36, 3), input_shape, kwargs)


def ResNeXt3D50(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNeXt-50, cardinality 32: 3, 4, 6 and 3 blocks. See `ResNet3D` for the arguments."""
    return _resnext("resnext3d_50", (3, 4, 6, 3), input_shape, kwargs)


def ResNeXt3D101(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNeXt-101, cardinality 32: 3, 4, 23 and 3 blocks. See `ResNet3D` for the arguments."""
    return _resnext("resnext3d_101", (3, 4, 23, 3), input_shape, kwargs)


def STCResNet3D18(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-18 with STC in every block. See `ResNet3D` for the arguments."""
    return ResNet3D18(
        input_shape=input_shape, **{"name": "stc_resnet3d_18", "stc": "residual", **kwargs}
    )


def STCResNet3D50(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-50 with STC in every block. See `ResNet3D` for the arguments."""
    return ResNet3D50(
        input_shape=input_shape, **{"name": "stc_resnet3d_50", "stc": "residual", **kwargs}
    )


def STCResNet3D101(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNet-101 with STC in every block. See `ResNet3D` for the arguments."""
    return ResNet3D101(
        input_shape=input_shape, **{"name": "stc_resnet3d_101", "stc": "residual", **kwargs}
    )


def STCResNeXt3D50(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNeXt-50 with STC in every block. See `ResNet3D` for the arguments."""
    return ResNeXt3D50(
        input_shape=input_shape, **{"name": "stc_resnext3d_50", "stc": "residual", **kwargs}
    )


def STCResNeXt3D101(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """3D ResNeXt-101 with STC in every block. See `ResNet3D` for the arguments.

    For 400 classes it has 66 million parameters at 16 frames, 96 at 32 and 208 at 64, as the
    spatial branch of STC grows with the square of the clip's length;
    `stc_options={"temporal_bins": 2}` keeps it small.

    Example:

    ```python
    model = keras_t3d.models.STCResNeXt3D101(input_shape=(16, 112, 112, 3), num_classes=51)
    ```
    """
    return ResNeXt3D101(
        input_shape=input_shape, **{"name": "stc_resnext3d_101", "stc": "residual", **kwargs}
    )


def _resnet(
    name: str,
    block: str,
    stage_blocks: tuple[int, ...],
    input_shape: Sequence[int],
    kwargs: dict[str, Any],
) -> ResNet3D:
    options = {"name": name, "block": block, "stage_blocks": stage_blocks, **kwargs}
    return ResNet3D(input_shape=input_shape, **options)


def _resnext(
    name: str, stage_blocks: tuple[int, ...], input_shape: Sequence[int], kwargs: dict[str, Any]
) -> ResNet3D:
    cardinality = {"stage_filters": (128, 256, 512, 1024), "expansion": 2, "groups": 32}
    return _resnet(name, "bottleneck", stage_blocks, input_shape, {**cardinality, **kwargs})


# torchvision's networks of Tran et al.


def R3D18(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """torchvision's r3d_18: 3D convolutions, a stem of its own. See `ResNet3D`."""
    return _torchvision("r3d_18", ("3d", "3d", "3d", "3d"), input_shape, kwargs)


def MC3D18(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """torchvision's mc3_18: 3D convolutions in the first stage, 2D after it. See `ResNet3D`."""
    return _torchvision("mc3_18", ("3d", "2d", "2d", "2d"), input_shape, kwargs)


def R2Plus1D18(*, input_shape: Sequence[int], **kwargs: Any) -> ResNet3D:
    """torchvision's r2plus1d_18: every 3D convolution factorised. See `ResNet3D`."""
    options = {"stem_middle_filters": 45, **kwargs}
    return _torchvision("r2plus1d_18", ("2plus1d",) * 4, input_shape, options)


def _torchvision(
    name: str, convolutions: tuple[str, ...], input_shape: Sequence[int], kwargs: dict[str, Any]
) -> ResNet3D:
    options = {
        "stage_convolutions": convolutions,
        "stem_kernel": (3, 7, 7),
        "stem_stride": (1, 2, 2),
        "stem_pool_stride": None,
        **kwargs,
    }
    return _resnet(name, "basic", (2, 2, 2, 2), input_shape, options)
