"""The decoder as a transformer: Peebles and Xie, "Scalable diffusion models with transformers" (ICCV 2023)."""

from __future__ import annotations

import torch
from torch import nn

from f2v_bench.nn.transformer import (
    AdaptiveLayerNorm,
    ChannelDropout,
    ConvBlock,
    FeedForward,
    SelfAttention,
    TimeEmbedding,
)
from reference_model.config import FlowConfig

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
        self.feed_norm = AdaptiveLayerNorm(width, width)
        self.feed = FeedForward(width, EXPANSION * width, dropout)
        self.gates = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, x: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``x`` ``(B, T, C)``, ``time`` ``(B, C)``, ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        attend, feed = self.gates(time)[:, None].chunk(2, dim=2)  # (B, 1, C) each
        x = x + attend * self.dropout(self.attention(self.attention_norm(x, time), mask))
        out: torch.Tensor = x + feed * self.feed(self.feed_norm(x, time))
        return out


class DiTDecoder(nn.Module):
    """v(x_t, t, mu, features) by ``depth`` transformer blocks at the mel's own rate, conditioned by concatenation.

    Args:
        config: ``width``, ``depth``, ``heads``, ``dropout``.
        features: channels of the condition beside mu.
        n_mels: bins.

    Raises:
        F2VError: the width does not split into the heads.
    """

    def __init__(self, config: FlowConfig, features: int, n_mels: int = 80) -> None:
        super().__init__()
        width = config.width
        self.time = TimeEmbedding(width)
        self.enter = nn.Linear(2 * n_mels + features, width)
        self.near = ConvBlock(width, KERNEL, config.dropout)
        self.blocks = nn.ModuleList(DiTBlock(width, config.heads, config.dropout) for _ in range(config.depth))
        self.norm = AdaptiveLayerNorm(width, width)
        self.leave = nn.Linear(width, n_mels)
        nn.init.zeros_(self.leave.weight)  # training begins at v = 0, the mean of what is to be learned
        nn.init.zeros_(self.leave.bias)

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor, features: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """The velocity at ``x``, zero at padded frames.

        Args:
            x: x_t, ``(B, T, n_mels)``.
            t: ``(B,)`` in 0 to 1.
            mu: the prior's mel, ``(B, T, n_mels)``.
            features: ``(B, T, F)``.
            mask: bool ``(B, T)``, True where a frame is real.
        """
        time = self.time(t)  # (B, C)
        h = self.enter(torch.cat([x, mu, features], dim=2))  # (B, T, C)
        h = self.near(h, mask)
        for block in self.blocks:
            h = block(h, time, mask)
        v: torch.Tensor = self.leave(self.norm(h, time)) * mask[..., None]  # (B, T, n_mels)
        return v
