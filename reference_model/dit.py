"""Velocity network as a transformer: Peebles and Xie, "Scalable diffusion models with transformers" (ICCV 2023)."""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm, ChannelDropout, ConvBlock, FeedForward, SelfAttention
from reference_model.config import FlowConfig
from reference_model.velocity_net import VelocityNet

KERNEL = 7  # frames of the one convolution, which mixes adjacent frames before the first attention
EXPANSION = 4  # hidden channels of the feed-forward part over the width


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
        self.ffn = FeedForward(width, EXPANSION * width, dropout)
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
