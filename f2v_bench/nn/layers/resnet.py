"""Visual frontend of most lip readers: 3-D convolution over five frames, then ResNet-18 on single frames.

Stafylakis and Tzimiropoulos, "Combining residual networks with LSTMs for lipreading" (Interspeech 2017), in the form
that AV-HuBERT and SVTS share, with different activations. Parameter names are those of AV-HuBERT's checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

CHANNELS = (64, 128, 256, 512)  # of the residual stages
Activation = Callable[[int], nn.Module]  # function from channels to a module


def silu(_channels: int) -> nn.Module:
    """Build the activation of SVTS; that of AV-HuBERT is ``nn.PReLU``."""
    return nn.SiLU()


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions, with an activation after each."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = activation(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = activation(out_channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.relu1(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.relu2(self.bn2(self.conv2(inner)) + self.downsample(x))
        return out


class ResNet(nn.Module):
    """Lip crops to one vector per frame.

    Args:
        activation: function that builds the activation after a convolution.
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
        for number, (before, after) in enumerate(pairwise((first, *CHANNELS)), 1):
            stage = nn.Sequential(
                BasicBlock(before, after, 1 if number == 1 else 2, activation),
                BasicBlock(after, after, 1, activation),
            )
            self.trunk.add_module(f"layer{number}", stage)

    def forward(self, lips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, 88, 88)`` to one vector per real frame, ``(N, 512)``."""
        frames = lips.masked_fill(~mask[..., None, None], 0)  # zeros, like the padding of a clip alone
        maps = self.frontend3D(frames[:, None]).transpose(1, 2)  # (B, T, 64, 22, 22)
        pooled: torch.Tensor = self.trunk(maps[mask]).mean((2, 3))
        return pooled
