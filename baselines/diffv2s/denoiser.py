"""The denoiser: a transformer encoder that says the clean mel of a noisy one, given what is seen and whose voice."""

from __future__ import annotations

import torch
from torch import nn

from baselines.diffv2s.config import DenoiserConfig
from baselines.diffv2s.prompts import SPEAKER
from f2v_bench.nn.layers.transformer import TimeEmbedding, TransformerBlock


class Denoiser(nn.Module):
    """x_0^ of x_t, t and the condition; a video frame at a time stands in the sequence.

    Args:
        config: sizes.
        stacked: channels of the mel frames of a video frame.
        seen: channels of the lips' features.

    Raises:
        F2VError: the width does not split into the heads.
    """

    def __init__(self, config: DenoiserConfig, stacked: int, seen: int) -> None:
        super().__init__()
        width = config.width
        self.seen_norm = nn.LayerNorm(seen)
        self.in_proj = nn.Linear(stacked + seen + SPEAKER, width)
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, config.dropout, config.hidden) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, stacked)

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, seen: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """``(B, T, C)``, float32.

        Args:
            x: x_t, ``(B, T, C)``.
            t: share of all times, ``(B,)`` in 0 to 1.
            seen: ``(B, T, F)``.
            speaker: unit vectors ``(B, 256)``.
            mask: bool ``(B, T)``.
        """
        voice = SPEAKER**0.5 * speaker[:, None].expand(-1, x.shape[1], -1)  # as large as the other channels
        h = self.in_proj(torch.cat([x, self.seen_norm(seen).float(), voice], dim=2)) + self.time(t)[:, None]
        for block in self.blocks:
            h = block(h, mask)
        out: torch.Tensor = self.out_proj(self.norm(h)).float()
        return out
