"""What most lip readers look with: a convolution over five frames, then ResNet-18 on each frame by itself.

Stafylakis and Tzimiropoulos, "Combining residual networks with LSTMs for lipreading" (Interspeech 2017), in the form
that AV-HuBERT and SVTS share; they differ in the activation. Parameter names are those of AV-HuBERT's checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

CHANNELS = (64, 128, 256, 512)  # of the residual network's stages
Activation = Callable[[int], nn.Module]  # of so many channels


def silu(_channels: int) -> nn.Module:
    """SVTS's activation; AV-HuBERT's is ``nn.PReLU``."""
    return nn.SiLU()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, with an activation after each."""

    def __init__(self, inward: int, outward: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inward, outward, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outward)
        self.relu1 = activation(outward)
        self.conv2 = nn.Conv2d(outward, outward, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outward)
        self.relu2 = activation(outward)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.relu1(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.relu2(self.bn2(self.conv2(inner)) + self.downsample(x))
        return out


class ResNet(nn.Module):
    """Pictures of lips to one vector a frame.

    Args:
        activation: after every convolution.
    """

    def __init__(self, activation: Activation = nn.PReLU) -> None:
        super().__init__()
        first = CHANNELS[0]
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, first, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(first),
            activation(first),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = nn.Sequential()
        for number, (inward, outward) in enumerate(pairwise((first, *CHANNELS)), 1):
            stage = nn.Sequential(
                BasicBlock(inward, outward, 1 if number == 1 else 2, activation),
                BasicBlock(outward, outward, 1, activation),
            )
            self.trunk.add_module(f"layer{number}", stage)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, 88, 88)`` to one vector a real frame, ``(N, 512)``."""
        seen = lips.masked_fill(~mask[..., None, None], 0)  # beyond its end a clip sees what it would see alone
        maps = self.frontend3D(seen[:, None]).transpose(1, 2)  # (B, T, 64, 22, 22)
        pooled: torch.Tensor = self.trunk(maps[mask]).mean((2, 3))
        return pooled
