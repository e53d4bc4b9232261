"""Blocks over time, of attention and of convolutions, with batches that change nothing.

``x`` is ``(B, T, C)`` and ``mask`` bool ``(B, T)``, True where a frame is real; each clip has one real frame at least.
No block lets a real frame see a padded one. What a block returns at padded frames is finite and means nothing.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.errors import F2VError

ROTARY_BASE = 10_000.0
LAYER_SCALE = 0.1  # Touvron et al., "Going deeper with image transformers" (ICCV 2021), for nets of 18 blocks or fewer


def apply_rotary(x: torch.Tensor) -> torch.Tensor:
    """Each pair of channels turned by an angle that grows with the frame, so that products know distances alone.

    Su et al., "RoFormer" (2021): channel pair i of frame n turns by n / 10000^(2i / D). There is no longest sequence.

    Args:
        x: queries or keys, ``(B, heads, T, D)``, D even.
    """
    frames, half = x.shape[2], x.shape[3] // 2
    place = torch.arange(frames, device=x.device, dtype=torch.float32)  # (T,)
    speed = ROTARY_BASE ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)  # (D/2,)
    angle = place[:, None] * speed  # (T, D/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, dim=3)  # (B, heads, T, D/2) each
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=3)


class TimeEmbedding(nn.Module):
    """A time of the flow as a vector: sines and cosines of 1 to 100 radians per unit of time, then two layers.

    Faster ones would tell apart times that no solver visits, and make the field rough for those of higher order.

    Args:
        width: channels, even.
    """

    FASTEST = 100.0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.speeds = width // 2
        self.layers = nn.Sequential(nn.Linear(2 * self.speeds, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """Times ``(B,)`` in 0 to 1 to ``(B, C)``."""
        speed = self.FASTEST ** torch.linspace(0, 1, self.speeds, device=t.device)  # (C/2,)
        angle = t[:, None] * speed  # (B, C/2)
        embedded: torch.Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=1))
        return embedded


class ChannelDropout(nn.Module):
    """Whole channels of a clip dropped, the same ones at every frame.

    Neighbouring frames are so alike that a value dropped from one can be read from the next (Tompson et al., "Efficient
    object localization using convolutional networks", CVPR 2015). It also draws T times fewer random numbers.

    Args:
        share: of the channels, 0 to 1.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` to the same; in training alone."""
        if not self.training or self.share == 0:
            return x
        return x * functional.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.share)


class AdaptiveLayerNorm(nn.Module):
    """Layer norm whose scale and shift a condition decides: norm(x) (1 + a(c)) + b(c); a plain one before training.

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
        """``x`` ``(B, T, C)`` with a condition for the clip, ``(B, D)``, or for each frame, ``(B, T, D)``."""
        if condition.ndim == 2:
            condition = condition[:, None]
        scale, shift = self.project(condition).chunk(2, dim=2)  # (B, 1 or T, C) each
        normed: torch.Tensor = torch.addcmul(shift, self.norm(x), 1 + scale)
        return normed


class SelfAttention(nn.Module):
    """Multi-head attention of the frames of a clip to one another, with rotary positions.

    Args:
        width: channels.
        heads: of ``width / heads`` channels each, an even number.

    Raises:
        F2VError: the width does not split so.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % (2 * heads):
            raise F2VError(
                f"{width} channels do not split into {heads} attention heads of an even number of channels",
                f"choose a width that is a multiple of {2 * max(heads, 1)}",
            )
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        batch, frames, width = x.shape
        split = self.project_in(x).view(batch, frames, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, T, D) each
        heard = mask[:, None, None]  # (B, 1, 1, T): padded frames are never listened to
        mixed = functional.scaled_dot_product_attention(apply_rotary(query), apply_rotary(key), value, attn_mask=heard)
        out: torch.Tensor = self.project_out(mixed.transpose(1, 2).flatten(2))  # (B, T, C)
        return out


class FeedForward(nn.Module):
    """Each frame by itself: linear, GELU, linear.

    Args:
        width: channels.
        hidden: channels between, ``4 * width`` where None.
        dropout: share of the hidden channels dropped.
    """

    def __init__(self, width: int, hidden: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = 4 * width if hidden is None else hidden
        self.fc1 = nn.Linear(width, hidden)
        self.dropout = ChannelDropout(dropout)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` to ``(B, T, C)``."""
        out: torch.Tensor = self.fc2(self.dropout(functional.gelu(self.fc1(x))))
        return out


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        width: channels.
        heads: of attention.
        dropout: share of channels dropped after attention and within the feed-forward part.
        hidden: channels of the feed-forward part, ``4 * width`` where None.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, hidden: int | None = None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.dropout = ChannelDropout(dropout)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, hidden, dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        out: torch.Tensor = x + self.ffn(self.ffn_norm(x))
        return out


class ConvBlock(nn.Module):
    """x + s * feed_forward(norm(depthwise(x))): a ConvNeXt block over time (Liu et al., CVPR 2022).

    Args:
        width: channels.
        kernel: frames that the depthwise convolution sees, odd.
        dropout: share of the hidden channels dropped.
        hidden: channels of the feed-forward part, ``4 * width`` where None.
        condition: channels of a condition that scales and shifts the layer norm; None for a plain norm.

    Raises:
        F2VError: the kernel is even, so that it has no centre.
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
            raise F2VError(f"a convolution kernel of {kernel} frames has no centre", "choose an odd number")
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width) if condition is None else AdaptiveLayerNorm(width, condition)
        self.ffn = FeedForward(width, hidden, dropout)
        self.scale = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: torch.Tensor, mask: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """``(B, T, C)`` with ``mask`` ``(B, T)``, and ``condition`` ``(B, D)`` or ``(B, T, D)``, to ``(B, T, C)``."""
        inside = x * mask[..., None]  # beyond its end a clip is silent, as the convolution's own padding is
        near = self._depthwise(inside)
        normed = self.norm(near) if condition is None else self.norm(near, condition)
        return torch.addcmul(x, self.ffn(normed), self.scale)

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution over time, ``(B, T, C)`` to the same.

        It is written as one over images of width 1, whose channels-last layout torch knows: on a CPU the same
        convolution over ``(B, C, T)`` takes five times as long.
        """
        conv = self.depthwise
        image = x.transpose(1, 2)[..., None]  # (B, C, T, 1)
        beyond = (conv.kernel_size[0] // 2, 0)
        out = functional.conv2d(image, conv.weight[..., None], conv.bias, padding=beyond, groups=conv.groups)
        return out[..., 0].transpose(1, 2)
