"""Hara et al.'s R(2+1)D networks, with the parameter names of their checkpoints of 2020.

They read normalized clips of shape (batch, 3, time, height, width) and return logits of shape
(batch, classes).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch.nn.functional as F  # noqa: N812 - as everywhere
from hara_networks import hara_shortcut
from torch import Tensor, nn
from torch_parts import stage

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class HaraR2Plus1D(nn.Module):
    """R(2+1)D: basic blocks in 18 and 34 layers, bottlenecks in 50.

    Args:
        depth: 18, 34 or 50.
        num_classes: number of classes.
        shortcut: `"A"`, without parameters, or `"B"`, a 1x1x1 convolution.
        stem_frames: size in time of the stem's convolution (`--conv1_t_size`).
        stem_stride: its stride in time (`--conv1_t_stride`).
        pool: whether a max pool follows the stem (not `--no_max_pool`).
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 400,
        shortcut: Literal["A", "B"] = "B",
        stem_frames: int = 7,
        stem_stride: int = 1,
        pool: bool = True,
    ) -> None:
        super().__init__()
        self.arch = f"resnet2p1d-{depth}"
        self.pool = pool
        middle = 3 * 64 * stem_frames * 49 // (3 * 49 + stem_frames * 64)
        self.conv1_s = nn.Conv3d(3, middle, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.bn1_s = nn.BatchNorm3d(middle)
        self.conv1_t = nn.Conv3d(
            middle,
            64,
            (stem_frames, 1, 1),
            (stem_stride, 1, 1),
            (stem_frames // 2, 0, 0),
            bias=False,
        )
        self.bn1_t = nn.BatchNorm3d(64)
        expansion = 4 if depth == 50 else 1
        block = partial(_Bottleneck if depth == 50 else _Basic, shortcut=shortcut)
        blocks = _BLOCKS[depth]
        self.layer1 = stage(block, blocks[0], 64, 64, expansion, 1)
        self.layer2 = stage(block, blocks[1], 64 * expansion, 128, expansion, 2)
        self.layer3 = stage(block, blocks[2], 128 * expansion, 256, expansion, 2)
        self.layer4 = stage(block, blocks[3], 256 * expansion, 512, expansion, 2)
        self.fc = nn.Linear(512 * expansion, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.bn1_s(self.conv1_s(clips)), inplace=True)
        x = F.relu(self.bn1_t(self.conv1_t(x)), inplace=True)
        if self.pool:
            x = F.max_pool3d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


class _Basic(nn.Module):
    """Two factorized convolutions beside a shortcut."""

    def __init__(
        self, inputs: int, planes: int, stride: int, *, shortcut: Literal["A", "B"]
    ) -> None:
        super().__init__()
        self.conv1_s, self.bn1_s, self.conv1_t, self.bn1_t = _factors(inputs, planes, stride)
        self.conv2_s, self.bn2_s, self.conv2_t, self.bn2_t = _factors(planes, planes, 1)
        self.downsample = hara_shortcut(inputs, planes, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1_s(self.conv1_s(x)), inplace=True)
        y = F.relu(self.bn1_t(self.conv1_t(y)), inplace=True)
        y = F.relu(self.bn2_s(self.conv2_s(y)), inplace=True)
        y = self.bn2_t(self.conv2_t(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class _Bottleneck(nn.Module):
    """1x1x1, factorized and 1x1x1 convolutions beside a shortcut."""

    def __init__(
        self, inputs: int, planes: int, stride: int, *, shortcut: Literal["A", "B"]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2_s, self.bn2_s, self.conv2_t, self.bn2_t = _factors(planes, planes, stride)
        self.conv3 = nn.Conv3d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(planes * 4)
        self.downsample = hara_shortcut(inputs, planes * 4, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2_s(self.conv2_s(y)), inplace=True)
        y = F.relu(self.bn2_t(self.conv2_t(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


def _factors(
    inputs: int, planes: int, stride: int
) -> tuple[nn.Conv3d, nn.BatchNorm3d, nn.Conv3d, nn.BatchNorm3d]:
    """Returns the factors of a 3x3x3 convolution, each with its batch normalization."""
    middle = 27 * inputs * planes // (9 * inputs + 3 * planes)
    space = nn.Conv3d(inputs, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
    time = nn.Conv3d(middle, planes, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)
    return space, nn.BatchNorm3d(middle), time, nn.BatchNorm3d(planes)
