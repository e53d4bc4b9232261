"""Transformer and ConvNeXt blocks over time whose output does not depend on padding.

``x`` is ``(B, T, C)`` and ``mask`` bool ``(B, T)``, True where a frame is real; each clip has at least one real frame.
In no block does a real frame depend on a padded one. Outputs at padded frames are finite and have no meaning.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
LAYER_SCALE = 0.1  # Touvron et al., "Going deeper with image transformers" (ICCV 2021), for at most 18 blocks


def apply_rotary(x: torch.Tensor) -> torch.Tensor:
    """Apply rotary position embeddings, so that products of queries and keys depend on distances alone.

    Su et al., "RoFormer" (2021): channel pair i of frame n is rotated by n / 10000^(2i / D). There is no longest
    sequence.

    Args:
        x: queries or keys, ``(B, heads, T, D)``, D even.
    """
    frames, half = x.shape[2], x.shape[3] // 2
    position = torch.arange(frames, device=x.device, dtype=torch.float32)  # (T,)
    frequency = ROTARY_BASE ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)  # (D/2,)
    angle = position[:, None] * frequency  # (T, D/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, dim=3)  # (B, heads, T, D/2) each
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=3)


class TimeEmbedding(nn.Module):
    """Embedding of the flow's time: sines and cosines of 1 to 100 radians per unit of time, then two layers.

    Higher frequencies would separate times that no solver uses, and make the field rough for solvers of high order.

    Args:
        width: channels, even.
    """

    MAX_FREQUENCY = 100.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequencies = width // 2
        self.layers = nn.Sequential(
            nn.Linear(2 * self.frequencies, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """Embed times ``(B,)`` in 0 to 1 as ``(B, C)``."""
        frequency = self.MAX_FREQUENCY ** torch.linspace(0, 1, self.frequencies, device=t.device)  # (C/2,)
        angle = t[:, None] * frequency  # (B, C/2)
        embedded: torch.Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=1))
        return embedded


class ChannelDropout(nn.Module):
    """Dropout of whole channels of a clip, the same ones at every frame.

    Neighboring frames are so similar that a value dropped in one frame can be inferred from the next (Tompson et al.,
    "Efficient object localization using convolutional networks", CVPR 2015). It also draws T times fewer random
    numbers.

    Args:
        rate: fraction of the channels that is dropped, 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop channels of ``(B, T, C)`` in training."""
        if not self.training or self.rate == 0:
            return x
        return x * functional.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.rate)


class AdaptiveLayerNorm(nn.Module):
    """Layer norm with scale and shift from a condition: norm(x) (1 + a(c)) + b(c); a plain layer norm before training.

    Args:
        width: channels of x.
        condition: channels of c.
    """

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.project = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Normalize ``x`` ``(B, T, C)``; the condition is per clip, ``(B, D)``, or per frame, ``(B, T, D)``."""
        if condition.ndim == 2:
            condition = condition[:, None]
        scale, shift = self.project(condition).chunk(2, dim=2)  # (B, 1 or T, C) each
        normalized: torch.Tensor = torch.addcmul(shift, self.norm(x), 1 + scale)
        return normalized


class SelfAttention(nn.Module):
    """Multi-head self-attention with rotary positions.

    Args:
        width: channels, a multiple of twice the heads.
        heads: attention heads.

    Raises:
        ValueError: the width is no such multiple.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % (2 * heads):
            raise ValueError(f"the width {width} with {heads} attention heads is no multiple of {2 * max(heads, 1)}")
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        batch, frames, width = x.shape
        split = self.project_in(x).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, T, D) each
        keys = mask[:, None, None]  # (B, 1, 1, T): no frame attends to a padded one
        mixed = functional.scaled_dot_product_attention(apply_rotary(query), apply_rotary(key), value, attn_mask=keys)
        out: torch.Tensor = self.project_out(mixed.transpose(1, 2).flatten(2))  # (B, T, C)
        return out


class FeedForward(nn.Module):
    """Feed-forward module: linear, GELU, linear.

    Args:
        width: channels.
        hidden: channels of the hidden layer, ``4 * width`` where None.
        dropout: dropout rate of the hidden channels.
    """

    def __init__(self, width: int, hidden: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = 4 * width if hidden is None else hidden
        self.fc1 = nn.Linear(width, hidden)
        self.dropout = ChannelDropout(dropout)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` to ``(B, T, C)``."""
        out: torch.Tensor = self.fc2(self.dropout(functional.gelu(self.fc1(x))))
        return out


class TransformerBlock(nn.Module):
    """Transformer block: x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        width: channels.
        heads: attention heads.
        dropout: dropout rate of channels after attention and inside the feed-forward module.
        hidden: channels inside the feed-forward module, ``4 * width`` where None.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, hidden: int | None = None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.dropout = ChannelDropout(dropout)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, hidden, dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        out: torch.Tensor = x + self.ffn(self.ffn_norm(x))
        return out


class ConvBlock(nn.Module):
    """ConvNeXt block over time (Liu et al., CVPR 2022): x + s * feed_forward(norm(depthwise(x))).

    Args:
        width: channels.
        kernel: kernel size of the depthwise convolution in frames, odd.
        dropout: dropout rate of the hidden channels.
        hidden: channels inside the feed-forward module, ``4 * width`` where None.
        condition: channels of a condition that scales and shifts the layer norm; None for a plain norm.

    Raises:
        ValueError: the kernel is even.
    """

    def __init__(
        self,
        width: int,
        kernel: int,
        dropout: float = 0.0,
        hidden: int | None = None,
        condition: int | None = None,
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"the convolution kernel of {kernel} frames is not odd")
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width) if condition is None else AdaptiveLayerNorm(width, condition)
        self.ffn = FeedForward(width, hidden, dropout)
        self.scale = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: torch.Tensor, mask: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``(B, T, C)`` with ``mask`` ``(B, T)`` and ``condition`` ``(B, D)`` or ``(B, T, D)`` to ``(B, T, C)``."""
        inside = x * mask[..., None]  # zeros beyond a clip's end, like the convolution's own padding
        mixed = self._depthwise(inside)
        normalized = self.norm(mixed) if condition is None else self.norm(mixed, condition)
        return torch.addcmul(x, self.ffn(normalized), self.scale)

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``(B, T, C)`` over time.

        The convolution runs over images of width 1, for which torch has a channels-last layout: on a CPU the same
        convolution over ``(B, C, T)`` takes five times as long.
        """
        conv = self.depthwise
        image = x.transpose(1, 2)[..., None]  # (B, C, T, 1)
        padding = (conv.kernel_size[0] // 2, 0)
        out = functional.conv2d(image, conv.weight[..., None], conv.bias, padding=padding, groups=conv.groups)
        return out[..., 0].transpose(1, 2)
