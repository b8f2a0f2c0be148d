"""PyTorch networks that ours are timed beside and that checkpoint import is tested on.

Their parameters are named exactly as in the published checkpoints of two families:
Hara et al.'s (https://github.com/kenshohara/3D-ResNets-PyTorch, the scripts of 2018
and those of 2020) and torchvision's video ResNets; torchvision itself is not needed.
`T3DTwin` is our T3D in PyTorch.

Every network reads clips of shape (batch, 3, time, height, width), already
normalised, and returns logits of shape (batch, classes).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR

Shortcut = Literal["A", "B"]
Block = Callable[[int, int, int], nn.Module]  # of input channels, planes and stride

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
    ) -> None:
        super().__init__()
        self.arch = arch
        self.conv1 = nn.Conv3d(3, 64, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1 = _stage(block, num_blocks[0], 64, planes, expansion, 1)
        self.layer2 = _stage(block, num_blocks[1], planes * expansion, planes * 2, expansion, 2)
        self.layer3 = _stage(block, num_blocks[2], planes * 2 * expansion, planes * 4, expansion, 2)
        self.layer4 = _stage(block, num_blocks[3], planes * 4 * expansion, planes * 8, expansion, 2)
        self.fc = nn.Linear(planes * 8 * expansion, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(clips)), inplace=True)
        x = F.max_pool3d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3, 4)))


class HaraResNet(_HaraResidual):
    """3D ResNet: basic blocks in 18 and 34 layers, bottlenecks in more.

    Args:
        depth: int. 18, 34, 50, 101, 152 or 200.
        num_classes: int. Number of classes. Defaults to `400`.
        shortcut: `"A"`, without parameters, or `"B"`, a 1x1x1 convolution. The
            checkpoints of 2018 with 18 and 34 layers use A, all others B. Defaults to `"B"`.
    """

    def __init__(self, depth: int, num_classes: int = 400, shortcut: Shortcut = "B") -> None:
        num_blocks = _RESNET_BLOCKS[depth]
        arch = f"resnet-{depth}"
        if depth in {18, 34}:
            block: Block = partial(_HaraBasic, shortcut=shortcut)
            super().__init__(arch, block, num_blocks, 64, 1, num_classes)
        else:
            block = partial(_HaraBottleneck, expansion=4, groups=1, shortcut=shortcut)
            super().__init__(arch, block, num_blocks, 64, 4, num_classes)


class HaraResNeXt(_HaraResidual):
    """3D ResNeXt: bottlenecks with a grouped 3x3x3 convolution.

    Args:
        depth: int. 50 or 101.
        num_classes: int. Number of classes. Defaults to `400`.
        cardinality: int. Groups of the convolution. Defaults to `32`.
        shortcut: as in `HaraResNet`. Defaults to `"B"`.
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
        self.downsample = _hara_shortcut(inputs, planes, stride, shortcut)

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
        self.downsample = _hara_shortcut(inputs, outputs, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


class _ZeroPaddedShortcut(nn.Module):
    """Shortcut A: every stride-th value, and zeros for the channels that are missing."""

    def __init__(self, extra_channels: int, stride: int) -> None:
        super().__init__()
        self.extra_channels = extra_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        step = self.stride
        return F.pad(x[:, :, ::step, ::step, ::step], (0, 0, 0, 0, 0, 0, 0, self.extra_channels))


def _hara_shortcut(inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if shortcut == "A":
        return _ZeroPaddedShortcut(outputs - inputs, stride)
    return _projection(inputs, outputs, (stride, stride, stride))


def _projection(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))


def _stage(
    block: Block, num_blocks: int, inputs: int, planes: int, expansion: int, stride: int
) -> nn.Sequential:
    first = block(inputs, planes, stride)
    others = (block(planes * expansion, planes, 1) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *others)


# Hara et al.: DenseNet.


class HaraDenseNet(nn.Module):
    """3D DenseNet-BC with a growth rate of 32.

    Args:
        depth: int. 121, 169 or 201.
        num_classes: int. Number of classes. Defaults to `400`.
        spelling: `"old"` names parameters as the checkpoints of 2018 do
            (`features.conv0`, `denselayer1.norm.1`), `"new"` as the scripts of 2020
            (`features.conv1`, `denselayer1.norm1`). Defaults to `"new"`.
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


def hara_checkpoint(
    network: HaraResNet | HaraResNeXt | HaraDenseNet, era: Literal["old", "new"]
) -> dict[str, Any]:
    """What Hara et al.'s scripts save of a network in training, for `torch.save`.

    The scripts of 2018 (`"old"`) save the DataParallel wrapper, which puts `module.`
    before every name, under a PyTorch whose batch normalisation counts no batches;
    those of 2020 (`"new"`) unwrap it, and save the scheduler too.

    Args:
        network: HaraResNet, HaraResNeXt or HaraDenseNet; the latter in the era's spelling.
        era: `"old"` or `"new"`.

    Returns:
        dict with `epoch`, `arch`, `state_dict`, `optimizer` and, in the new era, `scheduler`.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for parameter in network.parameters():
        # In a real file as large as the parameter, which would double what tests write.
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


# torchvision.


def torchvision_video_resnet(
    name: Literal["r3d_18", "mc3_18", "r2plus1d_18"], num_classes: int = 400
) -> nn.Module:
    """The network of torchvision.models.video of that name.

    Args:
        name: `"r3d_18"` (3x3x3 convolutions), `"mc3_18"` (1x3x3 after the first
            stage) or `"r2plus1d_18"` (1x3x3 then 3x1x1).
        num_classes: int. Number of classes. Defaults to `400`.

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
    """Stem without a pool, four stages of two basic blocks, average, classifying layer."""

    def __init__(self, first: Kind, others: Kind, num_classes: int) -> None:
        super().__init__()
        self.stem = _factored_stem() if first == "2+1d" else _plain_stem()
        first_block = partial(_VideoBlock, kind=first)
        block = partial(_VideoBlock, kind=others)
        self.layer1 = _stage(first_block, 2, 64, 64, 1, 1)
        self.layer2 = _stage(block, 2, 64, 128, 1, 2)
        self.layer3 = _stage(block, 2, 128, 256, 1, 2)
        self.layer4 = _stage(block, 2, 256, 512, 1, 2)
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
            self.downsample = _projection(inputs, planes, (time_stride, stride, stride))

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


# T3D.


class T3DTwin(nn.Sequential):
    """Our T3D, paper variant, in PyTorch.

    A parameter's path, with `_` for `.`, is the name of the Keras layer and its weight:
    `block1.layer2.bottleneck.conv.weight` is the kernel of `block1_layer2_bottleneck_conv`,
    `transition1.depth3.bn.bias` the beta of `depth3_bn` in the layer `transition1`.

    Args:
        depth_blocks: ints. Dense layers of each block. Defaults to T3D-121's.
        growth_rate: int. Channels that a dense layer adds. Defaults to `32`.
        num_classes: int. Number of classes. Defaults to `400`.
        bottleneck_factor: int. A dense layer's 1x1x1 convolution has this many
            times `growth_rate` filters. Defaults to `4`.
        stem_filters: int. Defaults to `64`.
        stem_kernel: three ints (time, height, width), odd. Defaults to `(3, 7, 7)`.
        transition_filters: int. Filters of each branch of a transition. Defaults to `128`.
        transition_depths: tuples of ints, one for each transition, the depths of its
            branches. Defaults to (1, 3, 6) first and (1, 3, 4) after that.
    """

    def __init__(
        self,
        depth_blocks: Sequence[int] = (6, 12, 24, 16),
        growth_rate: int = 32,
        num_classes: int = 400,
        *,
        bottleneck_factor: int = 4,
        stem_filters: int = 64,
        stem_kernel: tuple[int, int, int] = (3, 7, 7),
        transition_filters: int = 128,
        transition_depths: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        num_transitions = len(depth_blocks) - 1
        if transition_depths is None:
            transition_depths = ((1, 3, 6), *[(1, 3, 4)] * num_transitions)[:num_transitions]
        self.stem = _TwinStem(stem_filters, stem_kernel)
        channels = stem_filters
        for index, num_layers in enumerate(depth_blocks, start=1):
            block = nn.Sequential()
            for layer in range(1, num_layers + 1):
                dense = _TwinDenseLayer(channels, growth_rate, bottleneck_factor)
                block.add_module(f"layer{layer}", dense)
                channels += growth_rate
            self.add_module(f"block{index}", block)
            if index <= num_transitions:
                depths = transition_depths[index - 1]
                transition = _TwinTransition(channels, transition_filters, depths)
                self.add_module(f"transition{index}", transition)
                channels = transition_filters * len(depths)
        self.final = _TwinNormRelu(channels)
        self.embedding = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.logits = nn.Linear(channels, num_classes)


class _TwinNormRelu(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(x), inplace=True)


class _TwinNormReluConv(_TwinNormRelu):
    """BN-ReLU-Conv that keeps time, height and width."""

    def __init__(self, inputs: int, filters: int, kernel: tuple[int, int, int]) -> None:
        super().__init__(inputs)
        time, height, width = kernel
        # PyTorch pads both ends alike; an even kernel needs one frame more at the end.
        self.after = () if time % 2 else (0, 0, 0, 0, (time - 1) // 2, time // 2)
        padding = (time // 2 if time % 2 else 0, height // 2, width // 2)
        self.conv = nn.Conv3d(inputs, filters, kernel, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return self.conv(F.pad(x, self.after) if self.after else x)


class _TwinStem(nn.Module):
    def __init__(self, filters: int, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        time, height, width = kernel
        padding = (time // 2, height // 2, width // 2)
        self.conv = nn.Conv3d(3, filters, kernel, 2, padding, bias=False)
        self.bn = nn.BatchNorm3d(filters)

    def forward(self, clips: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(clips)), inplace=True)
        return F.max_pool3d(x, 3, (1, 2, 2), 1)


class _TwinDenseLayer(nn.Module):
    def __init__(self, inputs: int, growth_rate: int, bottleneck_factor: int) -> None:
        super().__init__()
        filters = bottleneck_factor * growth_rate
        self.bottleneck = _TwinNormReluConv(inputs, filters, (1, 1, 1))
        self.bn = nn.BatchNorm3d(filters)
        self.conv = nn.Conv3d(filters, growth_rate, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn(self.bottleneck(x)), inplace=True)
        return torch.cat([x, self.conv(y)], 1)


class _TwinTransition(nn.ModuleDict):
    def __init__(self, inputs: int, filters: int, depths: Sequence[int]) -> None:
        super().__init__()
        for depth in depths:
            kernel = (1, 1, 1) if depth == 1 else (depth, 3, 3)
            self[f"depth{depth}"] = _TwinNormReluConv(inputs, filters, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool3d(torch.cat([branch(x) for branch in self.values()], 1), 2)


# Weights.


def randomise(network: nn.Module, seed: int, *, spread: float = 1.0) -> None:
    """Gives a network random weights and statistics under which its logits are of order 1.

    No weight or statistic stays at PyTorch's first value, so that none can be left out
    or mistaken for another unnoticed. The statistics are drawn around what each batch
    normalisation sees of a random clip: around 0 and 1, the values of 200 layers of
    residual sums would grow without bound.

    Args:
        network: any network of this file, on the CPU. Changed in place.
        seed: int. The same seed gives the same weights.
        spread: float. Standard deviation of the clips to come, such as 60.0 for the
            checkpoints of 2018, whose pixels are 0 to 255. Defaults to `1.0`.
    """
    random = torch.Generator().manual_seed(seed)

    def draw_statistics(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm3d)
        mean, std = float(inputs[0].mean()), float(inputs[0].std())
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_(mean, 0.1 * std, generator=random)
        norm.running_var.uniform_(0.5 * std**2, 1.5 * std**2, generator=random)
        norm.weight.uniform_(0.5, 1.5, generator=random)
        norm.bias.normal_(0.0, 0.1, generator=random)

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            hooks.append(module.register_forward_pre_hook(draw_statistics))
        elif isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=random)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, module.in_features**-0.5, generator=random)
            nn.init.normal_(module.bias, 0.0, 0.1, generator=random)
    clip = spread * torch.randn(1, 3, 16, 64, 64, generator=random)
    was_training = network.training
    with torch.no_grad():
        network.eval()(clip)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
