"""The decoder as a 1-D U-Net with transformer blocks, after Matcha-TTS (Mehta et al., ICASSP 2024)."""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import ConvBlock, TransformerBlock
from reference_model.config import FlowConfig
from reference_model.velocity_net import VelocityNet

KERNEL = 7  # frames that a convolution sees
CONVOLUTIONS = 2  # blocks of them in a stage, as many as a residual block of Matcha-TTS holds
EXPANSION = 2  # hidden channels of a block over its width


class Stage(nn.Module):
    """Convolutions that know the time, then transformer blocks, all at one frame rate."""

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
        """``x`` ``(B, T, C)``, ``time`` ``(B, C)``, ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        for block in self.convolutions:
            x = block(x, mask, time)
        for block in self.transformers:
            x = block(x, mask)
        return x


class Down(nn.Module):
    """Two neighbouring frames to one. A clip of odd length ends in a pair whose second frame is zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, T, C)`` and ``(B, T)`` to ``(B, ceil(T/2), C)`` and ``(B, ceil(T/2))``."""
        odd = x.shape[1] % 2
        x = nn.functional.pad(x * mask[..., None], (0, 0, 0, odd))  # (B, 2 ceil(T/2), C)
        mask = nn.functional.pad(mask, (0, odd))
        pairs = x.reshape(len(x), -1, 2 * x.shape[2])  # (B, ceil(T/2), 2 C)
        return self.merge(pairs), mask[:, ::2] | mask[:, 1::2]


class Up(nn.Module):
    """One frame to two, plus what the way down had kept: both linear, so this is concatenation and a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.split = nn.Linear(width, 2 * width, bias=False)
        self.keep = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """``x`` ``(B, ceil(T/2), C)`` and ``kept`` ``(B, T, C)`` to ``(B, T, C)``."""
        frames = self.split(x).view(len(x), -1, x.shape[2])  # (B, 2 ceil(T/2), C)
        out: torch.Tensor = frames[:, : kept.shape[1]] + self.keep(kept)
        return out


class UNetVelocityNet(VelocityNet):
    """Down ``depth`` times by 2, up again, with a skip connection at each rate.

    It is made of ``width``, ``depth``, ``blocks``, ``heads`` and ``dropout`` of the config.
    """

    def build(self, config: FlowConfig) -> None:
        width, levels = config.width, range(config.depth)
        self.down = nn.ModuleList(Stage(config) for _ in levels)
        self.downs = nn.ModuleList(Down(width) for _ in levels)
        self.mid = Stage(config)
        self.ups = nn.ModuleList(Up(width) for _ in levels)
        self.up = nn.ModuleList(Stage(config) for _ in levels)

    def through(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = []
        for stage, down in zip(self.down, self.downs, strict=True):
            h = stage(h, time, mask)
            kept.append((h, mask))
            h, mask = down(h, mask)  # (B, ceil(T/2), C)
        h = self.mid(h, time, mask)  # (B, T / 2^depth, C)
        for up, stage in zip(self.ups, self.up, strict=True):
            before, mask = kept.pop()
            h = stage(up(h, before), time, mask)  # (B, T, C) of that level
        return h
