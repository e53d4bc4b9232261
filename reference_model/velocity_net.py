"""Velocity networks of the flow: a 1-D U-Net and a diffusion transformer behind one interface.

The U-Net with transformer blocks follows Matcha-TTS (Mehta et al., ICASSP 2024), the transformer Peebles and Xie,
"Scalable diffusion models with transformers" (ICCV 2023).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from f2v_bench.errors import suggest
from f2v_bench.nn.layers.transformer import (
    AdaptiveLayerNorm,
    ChannelDropout,
    ConvBlock,
    FeedForward,
    SelfAttention,
    TimeEmbedding,
    TransformerBlock,
)
from reference_model.config import FlowConfig

KERNEL = 7  # frames of a convolution; the one of the transformer mixes adjacent frames before the first attention
CONVOLUTIONS = 2  # convolution blocks per U-Net stage, as many as in a residual block of Matcha-TTS
UNET_EXPANSION = 2  # hidden channels of a block over its width
DIT_EXPANSION = 4  # hidden channels of the feed-forward part over the width


class VelocityNet(nn.Module, ABC):
    """Velocity v(x_t, t, mu, features), conditioned by concatenation.

    Args:
        config: settings of the flow.
        features: channels of the condition beside mu.
        n_mels: mel bins.

    Raises:
        ValueError: the width does not split into the heads.
    """

    def __init__(self, config: FlowConfig, features: int, n_mels: int = 80) -> None:
        super().__init__()
        width = config.width
        self.time = TimeEmbedding(width)
        self.in_proj = nn.Linear(2 * n_mels + features, width)
        self.build_blocks(config)
        self.norm = AdaptiveLayerNorm(width, width)
        self.out_proj = nn.Linear(width, n_mels)
        nn.init.zeros_(self.out_proj.weight)  # training starts at v = 0, the mean of the target
        nn.init.zeros_(self.out_proj.bias)

    @abstractmethod
    def build_blocks(self, config: FlowConfig) -> None:
        """Build the layers between the input and the output projection."""

    @abstractmethod
    def forward_blocks(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Run the layers between the projections.

        Args:
            h: hidden features, ``(B, T, C)``.
            time: time embedding, ``(B, C)``.
            mask: bool ``(B, T)``, True at real frames.

        Returns:
            Hidden features, ``(B, T, C)``.
        """

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the velocity at ``x``, ``(B, T, n_mels)``, zero at padded frames.

        Args:
            x: noisy mel x_t, ``(B, T, n_mels)``.
            t: flow time, ``(B,)``, 0 to 1.
            mu: mel of the prior, ``(B, T, n_mels)``.
            features: condition, ``(B, T, F)``.
            mask: bool ``(B, T)``, True at real frames.
        """
        time = self.time(t)  # (B, C)
        h = self.forward_blocks(self.in_proj(torch.cat([x, mu, features], dim=2)), time, mask)  # (B, T, C)
        v: torch.Tensor = self.out_proj(self.norm(h, time)) * mask[..., None]  # (B, T, n_mels)
        return v


class Stage(nn.Module):
    """Time-conditioned convolution blocks, then transformer blocks, all at one frame rate."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        width, hidden, dropout = config.width, UNET_EXPANSION * config.width, config.dropout
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


class DiTBlock(nn.Module):
    """adaLN-zero block: x + g_1(t) attention(norm(x, t)), then x + g_2(t) feed_forward(norm(x, t)).

    The gates are initialized at zero, so an untrained block is the identity.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = AdaptiveLayerNorm(width, width)
        self.attention = SelfAttention(width, heads)
        self.dropout = ChannelDropout(dropout)
        self.ffn_norm = AdaptiveLayerNorm(width, width)
        self.ffn = FeedForward(width, DIT_EXPANSION * width, dropout)
        self.gates = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, x: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``x`` ``(B, T, C)``, ``time`` ``(B, C)`` and ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        attention_gate, ffn_gate = self.gates(time)[:, None].chunk(2, dim=2)  # (B, 1, C) each
        x = x + attention_gate * self.dropout(self.attention(self.attention_norm(x, time), mask))
        out: torch.Tensor = x + ffn_gate * self.ffn(self.ffn_norm(x, time))
        return out


class DiTVelocityNet(VelocityNet):
    """``depth`` transformer blocks at the mel rate; reads ``width``, ``heads`` and ``dropout`` of the config."""

    def build_blocks(self, config: FlowConfig) -> None:
        self.conv_in = ConvBlock(config.width, KERNEL, config.dropout)
        self.blocks = nn.ModuleList(DiTBlock(config.width, config.heads, config.dropout) for _ in range(config.depth))

    def forward_blocks(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        h = self.conv_in(h, mask)
        for block in self.blocks:
            h = block(h, time, mask)
        return h


VELOCITY_NETS: dict[str, type[VelocityNet]] = {"unet": UNetVelocityNet, "dit": DiTVelocityNet}


def build_velocity_net(config: FlowConfig, features: int, n_mels: int = 80) -> VelocityNet:
    """Build the velocity network of a configuration, with random weights.

    Args:
        config: settings of the flow.
        features: channels of the condition beside mu.
        n_mels: mel bins.

    Raises:
        ValueError: the velocity net is unknown, or its width does not split into the heads.
    """
    if config.decoder not in VELOCITY_NETS:
        raise ValueError(f"unknown decoder '{config.decoder}'; {suggest(config.decoder, VELOCITY_NETS)}")
    return VELOCITY_NETS[config.decoder](config, features, n_mels)
