"""PyTorch networks of Hara et al., with the parameter names of their published checkpoints.

See https://github.com/kenshohara/3D-ResNets-PyTorch, the scripts of 2018 and those of 2020.

Every network reads normalized clips of shape (batch, 3, time, height, width) and returns logits of
shape (batch, classes).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR
from torch_parts import Block, projection, stage

Shortcut = Literal["A", "B"]

_RESNET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
_DENSENET_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


# Hara et al.: ResNet and ResNeXt.


class _HaraResidual(nn.Module):
    """Stem, four stages of residual blocks, average over the clip, classifying layer."""

    def __init__(
        self,
        arch: str,
        block: Block,
        num_blocks: Sequence[int],
        planes: int,
        expansion: int,
        num_classes: int,
        stem_frames: int = 7,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.arch = arch
        size, stride = (stem_frames, 7, 7), (stem_stride, 2, 2)
        self.conv1 = nn.Conv3d(3, 64, size, stride, (stem_frames // 2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1 = stage(block, num_blocks[0], 64, planes, expansion, 1)
        self.layer2 = stage(block, num_blocks[1], planes * expansion, planes * 2, expansion, 2)
        self.layer3 = stage(block, num_blocks[2], planes * 2 * expansion, planes * 4, expansion, 2)
        self.layer4 = stage(block, num_blocks[3], planes * 4 * expansion, planes * 8, expansion, 2)
        self.fc = nn.Linear(planes * 8 * expansion, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(clips)), inplace=True)
        x = F.max_pool3d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


class HaraResNet(_HaraResidual):
    """3D ResNet: basic blocks in 18 and 34 layers, bottlenecks in more.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        num_classes: number of classes.
        shortcut: `"A"`, without parameters, or `"B"`, a 1x1x1 convolution. The
            checkpoints of 2018 with 18 and 34 layers use A, all others B.
        stem: `stem_frames` and `stem_stride`, size and stride in time of the stem.
    """

    def __init__(
        self, depth: int, num_classes: int = 400, shortcut: Shortcut = "B", **stem: int
    ) -> None:
        num_blocks = _RESNET_BLOCKS[depth]
        arch = f"resnet-{depth}"
        if depth in {18, 34}:
            block: Block = partial(_HaraBasic, shortcut=shortcut)
            super().__init__(arch, block, num_blocks, 64, 1, num_classes, **stem)
        else:
            block = partial(_HaraBottleneck, expansion=4, groups=1, shortcut=shortcut)
            super().__init__(arch, block, num_blocks, 64, 4, num_classes, **stem)


class HaraResNeXt(_HaraResidual):
    """3D ResNeXt: bottlenecks with a grouped 3x3x3 convolution.

    Args:
        depth: 50 or 101.
        num_classes: number of classes.
        cardinality: groups of the convolution.
        shortcut: as in `HaraResNet`.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 400,
        cardinality: int = 32,
        shortcut: Shortcut = "B",
    ) -> None:
        block = partial(_HaraBottleneck, expansion=2, groups=cardinality, shortcut=shortcut)
        num_blocks = _RESNET_BLOCKS[depth]
        super().__init__(f"resnext-{depth}", block, num_blocks, 128, 2, num_classes)


class _HaraBasic(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, planes: int, stride: int, *, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = nn.Conv3d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(planes)
        self.downsample = hara_shortcut(inputs, planes, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class _HaraBottleneck(nn.Module):
    """1x1x1, 3x3x3 and 1x1x1 convolutions beside a shortcut; the second one has the stride."""

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int,
        *,
        expansion: int,
        groups: int,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        width = planes if groups == 1 else groups * (planes // 32)
        outputs = planes * expansion
        self.conv1 = nn.Conv3d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample = hara_shortcut(inputs, outputs, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class _ZeroPaddedShortcut(nn.Module):
    """Shortcut A: takes every stride-th value, and pads missing channels with zeros."""

    def __init__(self, extra_channels: int, stride: int) -> None:
        super().__init__()
        self.extra_channels = extra_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        step = self.stride
        return F.pad(x[:, :, ::step, ::step, ::step], (0, 0, 0, 0, 0, 0, 0, self.extra_channels))


def hara_shortcut(inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> nn.Module:
    """Returns the shortcut of a block that changes size or channels, else the identity."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if shortcut == "A":
        return _ZeroPaddedShortcut(outputs - inputs, stride)
    return projection(inputs, outputs, (stride, stride, stride))


# Hara et al.: DenseNet.


class HaraDenseNet(nn.Module):
    """3D DenseNet-BC with a growth rate of 32.

    Args:
        depth: 121, 169 or 201.
        num_classes: number of classes.
        spelling: `"old"` names parameters as the checkpoints of 2018 do
            (`features.conv0`, `denselayer1.norm.1`), `"new"` as the scripts of 2020
            (`features.conv1`, `denselayer1.norm1`).
    """

    def __init__(
        self, depth: int, num_classes: int = 400, spelling: Literal["old", "new"] = "new"
    ) -> None:
        super().__init__()
        self.arch = f"densenet-{depth}"
        self.features = nn.Sequential()
        self.features.add_module("conv1", nn.Conv3d(3, 64, 7, (1, 2, 2), 3, bias=False))
        self.features.add_module("norm1", nn.BatchNorm3d(64))
        self.features.add_module("relu1", nn.ReLU(inplace=True))
        self.features.add_module("pool1", nn.MaxPool3d(3, 2, 1))
        channels = 64
        num_layers = _DENSENET_BLOCKS[depth]
        for index, layers in enumerate(num_layers, start=1):
            block = nn.Sequential()
            for layer in range(1, layers + 1):
                block.add_module(f"denselayer{layer}", _HaraDenseLayer(channels))
                channels += 32
            self.features.add_module(f"denseblock{index}", block)
            if index < len(num_layers):
                self.features.add_module(f"transition{index}", _hara_transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm3d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        if spelling == "old":
            # PyTorch no longer takes a dot in a module name, so only the keys have it.
            self.register_state_dict_post_hook(_spell_old)
            self.register_load_state_dict_pre_hook(_spell_new)

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.features(clips), inplace=True)
        return self.classifier(x.mean((2, 3, 4)))


class _HaraDenseLayer(nn.Module):
    """BN-ReLU-Conv 1x1x1, BN-ReLU-Conv 3x3x3, concatenated to the input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(inputs)
        self.conv1 = nn.Conv3d(inputs, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(128)
        self.conv2 = nn.Conv3d(128, 32, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x), inplace=True))
        y = self.conv2(F.relu(self.norm2(y), inplace=True))
        return torch.cat([x, y], 1)


def _hara_transition(channels: int) -> nn.Sequential:
    transition = nn.Sequential()
    transition.add_module("norm", nn.BatchNorm3d(channels))
    transition.add_module("relu", nn.ReLU(inplace=True))
    transition.add_module("conv", nn.Conv3d(channels, channels // 2, 1, bias=False))
    transition.add_module("pool", nn.AvgPool3d(2))
    return transition


def _spell_old(_: nn.Module, state_dict: dict[str, Tensor], *__: Any) -> None:
    for name in list(state_dict):  # every key in turn, which keeps their order
        old = re.sub(r"features\.(conv|norm)1\.", r"features.\g<1>0.", name)
        old = re.sub(r"(denselayer\d+\.(?:conv|norm))([12])\.", r"\1.\2.", old)
        state_dict[old] = state_dict.pop(name)


def _spell_new(_: nn.Module, state_dict: dict[str, Tensor], *__: Any) -> None:
    for name in list(state_dict):
        new = re.sub(r"features\.(conv|norm)0\.", r"features.\g<1>1.", name)
        new = re.sub(r"(denselayer\d+\.(?:conv|norm))\.([12])\.", r"\1\2.", new)
        state_dict[new] = state_dict.pop(name)


def hara_checkpoint(network: Any, era: Literal["old", "new"]) -> dict[str, Any]:
    """Returns what Hara et al.'s scripts pass to `torch.save` during training.

    The scripts of 2018 (`"old"`) save the DataParallel wrapper, which puts `module.`
    before every name, with a PyTorch whose batch normalization does not count batches;
    those of 2020 (`"new"`) unwrap it, and also save the scheduler.

    Args:
        network: one of Hara et al.; a DenseNet must have the spelling of the era.
        era: which scripts.

    Returns:
        dict with `epoch`, `arch`, `state_dict`, `optimizer` and, in the new era, `scheduler`.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for parameter in network.parameters():
        # Real files hold one value per weight, which would double what tests write.
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros(1)
    schedule: dict[str, Any] = {}
    names = {name: name for name in network.state_dict()}
    if era == "new":
        schedule["scheduler"] = MultiStepLR(optimizer, [50, 100, 150]).state_dict()
    else:
        names = {n: f"module.{n}" for n in names if not n.endswith(".num_batches_tracked")}
    weights = network.state_dict()
    return {
        "epoch": 200,
        "arch": network.arch,
        "state_dict": OrderedDict((new, weights[old].clone()) for old, new in names.items()),
        "optimizer": optimizer.state_dict(),
        **schedule,
    }
