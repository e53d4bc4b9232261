"""The decoder as a transformer: Peebles and Xie, "Scalable diffusion models with transformers" (ICCV 2023)."""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm, ChannelDropout, ConvBlock, FeedForward, SelfAttention
from reference_model.config import FlowConfig
from reference_model.velocity_net import VelocityNet

KERNEL = 7  # frames that the one convolution sees, which tells a frame its neighbours before attention begins
EXPANSION = 4  # hidden channels of the feed-forward part over the width


class DiTBlock(nn.Module):
    """adaLN-zero: x + g_1(t) attention(norm(x, t)), then x + g_2(t) feed_forward(norm(x, t)).

    The gates begin at zero, so that the block begins as the identity.
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
        """``x`` ``(B, T, C)``, ``time`` ``(B, C)``, ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        attend, feed = self.gates(time)[:, None].chunk(2, dim=2)  # (B, 1, C) each
        x = x + attend * self.dropout(self.attention(self.attention_norm(x, time), mask))
        out: torch.Tensor = x + feed * self.ffn(self.ffn_norm(x, time))
        return out


class DiTVelocityNet(VelocityNet):
    """``depth`` transformer blocks at the mel's own rate, of the config's ``width``, ``heads`` and ``dropout``."""

    def build(self, config: FlowConfig) -> None:
        self.near = ConvBlock(config.width, KERNEL, config.dropout)
        self.blocks = nn.ModuleList(DiTBlock(config.width, config.heads, config.dropout) for _ in range(config.depth))

    def through(self, h: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        h = self.near(h, mask)
        for block in self.blocks:
            h = block(h, time, mask)
        return h
