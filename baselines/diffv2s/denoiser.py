"""Denoiser: a transformer encoder that predicts the clean mel, given visual features and a speaker embedding."""

from __future__ import annotations

import torch
from torch import nn

from baselines.diffv2s.config import DenoiserConfig
from baselines.diffv2s.prompts import SPEAKER_DIM
from f2v_bench.nn.layers.transformer import TimeEmbedding, TransformerBlock


class Denoiser(nn.Module):
    """Denoiser from x_t, t and the condition to x_0^; the sequence has one element per video frame.

    Args:
        config: sizes of the transformer.
        mel_dim: channels of a video frame's mel frames.
        visual_dim: channels of the visual features.

    Raises:
        ValueError: a width that is no multiple of twice the heads.
    """

    def __init__(self, config: DenoiserConfig, mel_dim: int, visual_dim: int) -> None:
        super().__init__()
        width = config.width
        self.visual_norm = nn.LayerNorm(visual_dim)
        self.in_proj = nn.Linear(mel_dim + visual_dim + SPEAKER_DIM, width)
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, config.heads, config.dropout, config.hidden) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, mel_dim)

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, visual: torch.Tensor, speaker: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Predict x_0^ ``(B, T, C)``, float32.

        Args:
            x: noisy mel x_t, ``(B, T, C)``.
            t: time step divided by their number, ``(B,)``, in 0 to 1.
            visual: visual features, ``(B, T, F)``.
            speaker: speaker embeddings, unit vectors ``(B, 256)``.
            mask: bool ``(B, T)``, True where a video frame is real.
        """
        speaker = SPEAKER_DIM**0.5 * speaker[:, None].expand(-1, x.shape[1], -1)  # as large as the other channels
        h = self.in_proj(torch.cat([x, self.visual_norm(visual).float(), speaker], dim=2)) + self.time(t)[:, None]
        for block in self.blocks:
            h = block(h, mask)
        out: torch.Tensor = self.out_proj(self.norm(h)).float()
        return out
