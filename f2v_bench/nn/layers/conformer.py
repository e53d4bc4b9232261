"""The Conformer (Gulati et al., Interspeech 2020): attention with relative positions beside a convolution.

The form of ESPnet, which SVTS and Intelligible Lip-to-Speech build on: half a feed-forward part on either side, layer
norm before each part and after the block, Transformer-XL's relative positions (Dai et al., ACL 2019), batch norm inside
the convolution. Padding changes nothing, in training either: statistics are those of the real frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError
from f2v_bench.nn.layers.masking import scatter_frames

#: makes the norm inside a convolution, ``(N, C)`` to the same, of its channels
Norm = Callable[[int], nn.Module]


class RelativeAttention(nn.Module):
    """softmax(((q_i + u) k_j + (q_i + v) p_(i - j)) / sqrt(d)), with p a projection of sinusoids of the distance.

    Args:
        width: channels.
        heads: that they are split into.

    Raises:
        F2VError: the width does not split into the heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise F2VError(f"{width} channels do not split into {heads} heads", "choose a multiple")
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
        """``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``; every clip has at least one real frame."""
        frames = x.shape[1]
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))  # (B, H, T, D)
        places = self._split(self.position(relative_positions(frames, x.shape[2]).to(x))[None])  # (1, H, 2 T - 1, D)
        by_place = relative_shift((query + self.bias_position) @ places.transpose(2, 3))  # (B, H, T, T)
        heard = torch.zeros(mask.shape, device=x.device, dtype=by_place.dtype).masked_fill(~mask, -torch.inf)
        bias = by_place / self.size**0.5 + heard[:, None, None]
        mixed = functional.scaled_dot_product_attention(query + self.bias_content, key, value, bias)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], self.heads, self.size).transpose(1, 2)  # (B, H, T, D)


def relative_positions(frames: int, width: int) -> torch.Tensor:
    """Sinusoids of all distances i - j from T - 1 down to -(T - 1), ``(2 T - 1, C)``: sines and cosines in turn."""
    far = torch.arange(frames - 1, -frames, -1.0)[:, None]  # (2 T - 1, 1)
    pace = torch.exp(torch.arange(0, width, 2) * (-log(10_000) / width))  # (C / 2,)
    return torch.stack([(far * pace).sin(), (far * pace).cos()], dim=2).flatten(1)


def relative_shift(scores: torch.Tensor) -> torch.Tensor:
    """Scores of queries by distance, ``(B, H, T, 2 T - 1)``, to scores of queries by keys, ``(B, H, T, T)``.

    Row i wants the distances i to i - T + 1, which begin at column T - 1 - i: with one column in front, reading the
    numbers on in rows that are one shorter moves each row one further than the row before.
    """
    batch, heads, frames, span = scores.shape
    padded = functional.pad(scores, (1, 0)).view(batch, heads, span + 1, frames)
    return padded[:, :, 1:].reshape(batch, heads, frames, span)[..., :frames]


class ConvolutionModule(nn.Module):
    """Gated pointwise, depthwise, batch norm, SiLU, pointwise."""

    def __init__(self, width: int, kernel: int, norm: Norm = nn.BatchNorm1d) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise F2VError(f"a convolution kernel of {kernel} frames has no centre", "choose an odd number")
        self.in_proj = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = norm(width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        gated = functional.glu(self.in_proj(x), dim=2) * mask[..., None]  # (B, T, C), silent beyond the clip's end
        near = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        real = self.out_proj(functional.silu(self.norm(near[mask])))  # (N, C), real frames alone
        return scatter_frames(real, mask)


class HalfFeedForward(nn.Module):
    """Half of linear, SiLU, linear."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = 0.5 * self.layers(x)
        return out


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, each beside a shortcut; then a layer norm.

    Args:
        width: channels.
        heads: of attention.
        hidden: channels of the feed-forward parts.
        kernel: of the convolution, frames, odd.
        dropout: share of what each part says that is dropped.
        norm: of the convolution.
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
        """``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
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
        blocks: of it.
        heads: of its attention.
        hidden: channels of its feed-forward parts.
        kernel: of its convolutions, frames, odd.
        dropout: inside it, and before it.
    """

    width: int = 256
    blocks: int = 6
    heads: int = 4
    hidden: int = 2048
    kernel: int = 31
    dropout: float = 0.1


class Conformer(nn.Module):
    """A linear layer into its width, and its blocks.

    Args:
        inward: channels that enter.
        config: sizes.
        norm: of its convolutions.

    Raises:
        F2VError: the width does not split into the heads, or the kernel has no centre.
    """

    def __init__(self, inward: int, config: ConformerConfig, norm: Norm = nn.BatchNorm1d) -> None:
        super().__init__()
        self.in_proj = nn.Linear(inward, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(config.width, config.heads, config.hidden, config.kernel, config.dropout, norm)
            for _ in range(config.blocks)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, C_in)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        x = self.dropout(self.in_proj(x))
        for block in self.blocks:
            x = block(x, mask)
        return x
