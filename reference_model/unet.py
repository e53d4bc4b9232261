"""Velocity network as a 1-D U-Net with transformer blocks, after Matcha-TTS (Mehta et al., ICASSP 2024)."""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import ConvBlock, TransformerBlock
from reference_model.config import FlowConfig
from reference_model.velocity_net import VelocityNet

KERNEL = 7  # frames
CONVOLUTIONS = 2  # convolution blocks per stage, as many as in a residual block of Matcha-TTS
EXPANSION = 2  # hidden channels of a block over its width


class Stage(nn.Module):
    """Time-conditioned convolution blocks, then transformer blocks, all at one frame rate."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        width, hidden, dropout = config.width, EXPANSION * config.width, config.dropout
        self.convolutions = nn.ModuleList(
            ConvBlock(width, KERNEL, dropout, hidden, condition=width) for _ in range(CONVOLUTIONS)
        )
        self.transformers = nn.ModuleList(
            TransformerBlock(width, config.heads, dropout, hidden) for _ in range(config.blocks)
        )

    def forward(self, x: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ``(B, T, C)``, ``time`` ``(B, C)`` and ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        for block in self.convolutions:
            x = block(x, mask, time)
        for block in self.transformers:
            x = block(x, mask)
        return x


class Downsample(nn.Module):
    """Linear layer from two adjacent frames to one. A clip of odd length is padded with one frame of zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map ``(B, T, C)`` and ``(B, T)`` to ``(B, ceil(T/2), C)`` and ``(B, ceil(T/2))``."""
        odd = x.shape[1] % 2
        x = nn.functional.pad(x * mask[..., None], (0, 0, 0, odd))  # (B, 2 ceil(T/2), C)
        mask = nn.functional.pad(mask, (0, odd))
        pairs = x.reshape(len(x), -1, 2 * x.shape[2])  # (B, ceil(T/2), 2 C)
        return self.merge(pairs), mask[:, ::2] | mask[:, 1::2]


class Upsample(nn.Module):
    """Linear layer from one frame to two, plus a skip connection.

    Both are linear, so the sum equals a concatenation and a linear layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.split = nn.Linear(width, 2 * width, bias=False)
        self.skip = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ``(B, ceil(T/2), C)`` and ``skip`` ``(B, T, C)`` to ``(B, T, C)``."""
        frames = self.split(x).view(len(x), -1, x.shape[2])  # (B, 2 ceil(T/2), C)
        out: torch.Tensor = frames[:, : skip.shape[1]] + self.skip(skip)
        return out


class UNetVelocityNet(VelocityNet):
    """U-Net of ``depth`` levels below the first, each at half the rate, with a skip connection at each rate.

    It reads ``width``, ``depth``, ``blocks``, ``heads`` and ``dropout`` of the config.
    """

    def build_blocks(self, config: FlowConfig) -> None:
        width, levels = config.width, range(config.depth)
        self.down = nn.ModuleList(Stage(config) for _ in levels)
        self.downsample = nn.ModuleList(Downsample(width) for _ in levels)
        self.mid = Stage(config)
        self.upsample = nn.ModuleList(Upsample(width) for _ in levels)
        self.up = nn.ModuleList(Stage(config) for _ in levels)

    def forward_blocks(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        skips = []
        for stage, downsample in zip(self.down, self.downsample, strict=True):
            h = stage(h, time, mask)
            skips.append((h, mask))
            h, mask = downsample(h, mask)  # (B, ceil(T/2), C)
        h = self.mid(h, time, mask)  # (B, T / 2^depth, C)
        for upsample, stage in zip(self.upsample, self.up, strict=True):
            skip, mask = skips.pop()
            h = stage(upsample(h, skip), time, mask)  # (B, T, C) of that level
        return h
