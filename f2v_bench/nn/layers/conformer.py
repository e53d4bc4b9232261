"""Conformer (Gulati et al., Interspeech 2020): self-attention with relative positions, and convolution.

The variant of ESPnet, on which SVTS and Intelligible Lip-to-Speech build: Macaron feed-forward modules, layer norm
before each module and after the block, relative positions of Transformer-XL (Dai et al., ACL 2019), batch norm inside
the convolution module. Padding does not change the output, in training either: batch statistics are of real frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import scatter_frames

#: function from channels to the norm inside a convolution module, which maps ``(N, C)`` to ``(N, C)``
Norm = Callable[[int], nn.Module]


class RelativeAttention(nn.Module):
    """Multi-head self-attention with relative positions.

    softmax(((q_i + u) k_j + (q_i + v) p_(i - j)) / sqrt(d)), with p a projection of sinusoids of the distance.

    Args:
        width: channels.
        heads: attention heads.

    Raises:
        ValueError: the width is not divisible by the heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"the width {width} is not divisible by {heads} attention heads")
        self.heads, self.size = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.position = nn.Linear(width, width, bias=False)
        self.bias_content = nn.Parameter(torch.empty(heads, 1, self.size))  # u
        self.bias_position = nn.Parameter(torch.empty(heads, 1, self.size))  # v
        nn.init.xavier_uniform_(self.bias_content)
        nn.init.xavier_uniform_(self.bias_position)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``; every clip has at least one real frame."""
        frames = x.shape[1]
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))  # (B, H, T, D)
        positions = self._split(self.position(relative_positions(frames, x.shape[2]).to(x))[None])  # (1, H, 2 T - 1, D)
        scores = relative_shift((query + self.bias_position) @ positions.transpose(2, 3))  # (B, H, T, T)
        padding = torch.zeros(mask.shape, device=x.device, dtype=scores.dtype).masked_fill(~mask, -torch.inf)
        bias = scores / self.size**0.5 + padding[:, None, None]
        mixed = functional.scaled_dot_product_attention(query + self.bias_content, key, value, bias)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, self.size).transpose(1, 2)  # (B, H, T, D)


def relative_positions(frames: int, width: int) -> torch.Tensor:
    """Return sinusoids of all distances i - j from T - 1 down to -(T - 1), ``(2 T - 1, C)``, interleaved."""
    distance = torch.arange(frames - 1, -frames, -1.0)[:, None]  # (2 T - 1, 1)
    frequency = torch.exp(torch.arange(0, width, 2) * (-log(10_000) / width))  # (C / 2,)
    return torch.stack([(distance * frequency).sin(), (distance * frequency).cos()], dim=2).flatten(1)


def relative_shift(scores: torch.Tensor) -> torch.Tensor:
    """Convert scores by distance, ``(B, H, T, 2 T - 1)``, to scores by key, ``(B, H, T, T)``.

    Row i needs the distances i to i - T + 1, which start at column T - 1 - i. With one more column in front, a view
    with rows that are one shorter shifts each row by one more than the row before.
    """
    batch, heads, frames, span = scores.shape
    padded = functional.pad(scores, (1, 0)).view(batch, heads, span + 1, frames)
    return padded[:, :, 1:].reshape(batch, heads, frames, span)[..., :frames]


class ConvolutionModule(nn.Module):
    """Convolution module: gated pointwise, depthwise, batch norm, SiLU, pointwise.

    Args:
        width: channels.
        kernel: kernel size in frames, odd.
        norm: function that builds the norm.

    Raises:
        ValueError: the kernel is even.
    """

    def __init__(self, width: int, kernel: int, norm: Norm = nn.BatchNorm1d) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"the convolution kernel of {kernel} frames is not odd")
        self.in_proj = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = norm(width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        gated = functional.glu(self.in_proj(x), dim=2) * mask[..., None]  # (B, T, C), padding is 0
        mixed = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        real = self.out_proj(functional.silu(self.norm(mixed[mask])))  # (N, C), real frames alone
        return scatter_frames(real, mask)


class HalfFeedForward(nn.Module):
    """Feed-forward module with half weight: linear, SiLU, linear."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = 0.5 * self.layers(x)
        return out


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, all residual; then a layer norm.

    Args:
        width: channels.
        heads: attention heads.
        hidden: channels inside the feed-forward modules.
        kernel: kernel size of the convolution module in frames, odd.
        dropout: dropout rate of each module's output.
        norm: function that builds the norm of the convolution module.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int = 2048,
        kernel: int = 31,
        dropout: float = 0.1,
        norm: Norm = nn.BatchNorm1d,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.ffn1 = HalfFeedForward(width, hidden, dropout)
        self.attention = RelativeAttention(width, heads)
        self.convolution = ConvolutionModule(width, kernel, norm)
        self.ffn2 = HalfFeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        x = x + self.ffn1(self.norms[0](x))
        x = x + self.dropout(self.attention(self.norms[1](x), mask))
        x = x + self.dropout(self.convolution(self.norms[2](x), mask))
        x = x + self.ffn2(self.norms[3](x))
        out: torch.Tensor = self.norms[4](x)
        return out


@dataclass(frozen=True, slots=True)
class ConformerConfig:
    """Sizes of a Conformer.

    Attributes:
        width: channels.
        blocks: number of blocks.
        heads: attention heads.
        hidden: channels inside the feed-forward modules.
        kernel: kernel size of the convolution modules in frames, odd.
        dropout: dropout rate, after the input projection and in every block.
    """

    width: int = 256
    blocks: int = 6
    heads: int = 4
    hidden: int = 2048
    kernel: int = 31
    dropout: float = 0.1


class Conformer(nn.Module):
    """Input projection and Conformer blocks.

    Args:
        in_channels: channels of the input.
        config: sizes.
        norm: function that builds the norm of the convolution modules.

    Raises:
        ValueError: the width is not divisible by the heads, or the kernel is even.
    """

    def __init__(self, in_channels: int, config: ConformerConfig, norm: Norm = nn.BatchNorm1d) -> None:
        super().__init__()
        self.in_proj = nn.Linear(in_channels, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(config.width, config.heads, config.hidden, config.kernel, config.dropout, norm)
            for _ in range(config.blocks)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C_in)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        x = self.dropout(self.in_proj(x))
        for block in self.blocks:
            x = block(x, mask)
        return x
