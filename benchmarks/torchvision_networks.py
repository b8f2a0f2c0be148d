"""torchvision's video ResNets with its parameter names; torchvision itself is not needed.

Every network reads normalized clips of shape (batch, 3, time, height, width) and returns logits of
shape (batch, classes).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch.nn.functional as F  # noqa: N812 - as everywhere
from torch import Tensor, nn
from torch_parts import projection, stage


def torchvision_video_resnet(
    name: Literal["r3d_18", "mc3_18", "r2plus1d_18"], num_classes: int = 400
) -> nn.Module:
    """Returns the network of torchvision.models.video with that name.

    Args:
        name: `"r3d_18"` (3x3x3 convolutions), `"mc3_18"` (1x3x3 after the first
            stage) or `"r2plus1d_18"` (1x3x3 then 3x1x1).
        num_classes: number of classes.

    Returns:
        The network, with random weights.

    Reference:
        Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action
        Recognition", 2018, https://arxiv.org/abs/1711.11248
    """
    return _VideoResNet(*_TORCHVISION_KINDS[name], num_classes)


Kind = Literal["3d", "2d", "2+1d"]
_TORCHVISION_KINDS: dict[str, tuple[Kind, Kind]] = {  # of the first stage, and of the others
    "r3d_18": ("3d", "3d"),
    "mc3_18": ("3d", "2d"),
    "r2plus1d_18": ("2+1d", "2+1d"),
}


class _VideoResNet(nn.Module):
    """Stem without pooling, four stages of two basic blocks, average, classifying layer."""

    def __init__(self, first: Kind, others: Kind, num_classes: int) -> None:
        super().__init__()
        self.stem = _factored_stem() if first == "2+1d" else _plain_stem()
        first_block = partial(_VideoBlock, kind=first)
        block = partial(_VideoBlock, kind=others)
        self.layer1 = stage(first_block, 2, 64, 64, 1, 1)
        self.layer2 = stage(block, 2, 64, 128, 1, 2)
        self.layer3 = stage(block, 2, 128, 256, 1, 2)
        self.layer4 = stage(block, 2, 256, 512, 1, 2)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.stem(clips)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


class _VideoBlock(nn.Module):
    """Two convolutions of a kind beside a shortcut."""

    def __init__(self, inputs: int, planes: int, stride: int, *, kind: Kind) -> None:
        super().__init__()
        # As many parameters as 3x3x3 would have; the second convolution has the first's number.
        middle = 27 * inputs * planes // (9 * inputs + 3 * planes)
        self.conv1 = nn.Sequential(
            _video_conv(kind, inputs, middle, planes, stride),
            nn.BatchNorm3d(planes),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            _video_conv(kind, planes, middle, planes, 1), nn.BatchNorm3d(planes)
        )
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != planes:
            time_stride = 1 if kind == "2d" else stride
            self.downsample = projection(inputs, planes, (time_stride, stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


def _video_conv(kind: Kind, inputs: int, middle: int, outputs: int, stride: int) -> nn.Module:
    if kind == "3d":
        return nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
    if kind == "2d":
        return _space_conv(inputs, outputs, 3, stride)
    return nn.Sequential(
        _space_conv(inputs, middle, 3, stride),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        _time_conv(middle, outputs, stride),
    )


def _plain_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    )


def _factored_stem() -> nn.Sequential:
    return nn.Sequential(
        _space_conv(3, 45, 7, 2),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        _time_conv(45, 64, 1),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    )


def _space_conv(inputs: int, outputs: int, side: int, stride: int) -> nn.Conv3d:
    padding = (0, side // 2, side // 2)
    return nn.Conv3d(inputs, outputs, (1, side, side), (1, stride, stride), padding, bias=False)


def _time_conv(inputs: int, outputs: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)
