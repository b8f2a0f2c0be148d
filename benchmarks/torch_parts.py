"""Parts that the PyTorch networks share: stages of residual blocks, projections, random weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]  # of input channels, planes and stride


def projection(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))


def stage(
    block: Block, num_blocks: int, inputs: int, planes: int, expansion: int, stride: int
) -> nn.Sequential:
    first = block(inputs, planes, stride)
    others = (block(planes * expansion, planes, 1) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *others)


def randomize(network: nn.Module, seed: int, *, spread: float = 1.0) -> None:
    """Draws weights and statistics that keep the logits of a network near 1.

    No weight or statistic keeps PyTorch's initial value, so a test notices one that is left out or
    swapped. The statistics are drawn around what each batch normalization sees of a random clip:
    around 0 and 1, the values of 200 layers of residual sums would grow without bound.

    Args:
        network: network on the CPU, changed in place.
        seed: determines the weights.
        spread: standard deviation of the clips, such as 60.0 for the checkpoints of 2018, whose
            pixels are 0 to 255.
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
