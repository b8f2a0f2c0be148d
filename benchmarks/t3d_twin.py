"""T3D, paper variant, in PyTorch, which benchmarks time beside ours.

The network reads normalized clips of shape (batch, 3, time, height, width) and returns logits of
shape (batch, classes).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - as everywhere
from torch import Tensor, nn


class T3DTwin(nn.Sequential):
    """Our T3D, paper variant, in PyTorch.

    A parameter's path, with `_` for `.`, is the name of the Keras layer and its weight:
    `block1.layer2.bottleneck.conv.weight` is the kernel of `block1_layer2_bottleneck_conv`,
    `transition1.depth3.bn.bias` the beta of `depth3_bn` in the layer `transition1`.

    Args:
        depth_blocks: dense layers of each block.
        growth_rate: channels that a dense layer adds.
        num_classes: number of classes.
        bottleneck_factor: filters of a dense layer's 1x1x1 convolution, in units of
            `growth_rate`.
        stem_filters: filters of the stem.
        stem_kernel: odd kernel size of the stem (time, height, width).
        transition_filters: filters of each branch of a transition.
        transition_depths: depths of the branches of each transition.
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
