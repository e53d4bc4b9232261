"""Stage 3, prosody: what moves in the face says how it is said. Pitch, voicing and energy contours at mel rate.

The paper: an expression encoder, predicted pitch and energy. Contours are embedded and added as in FastSpeech 2 (Ren et
al., ICLR 2021), the true ones in training, the predicted ones at synthesis. Choices: a convolutional expression encoder
on the aligned face, minus its clip mean, so that a still face says nothing; voicing as a contour of its own; log F0
predicted in deviations from the speaker's mean, which the timbre stage knows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.transformer import ConvBlock
from reference_model.config import ProsodyConfig


class Contours(NamedTuple):
    """Each ``(B, 4 T)`` at mel rate.

    Attributes:
        pitch: log F0 in the corpus's deviations from its mean; 0 where unvoiced.
        voicing: 1 where voiced, or the logit of it where predicted.
        energy: in the corpus's deviations from its mean.
    """

    pitch: torch.Tensor
    voicing: torch.Tensor
    energy: torch.Tensor


class ExpressionEncoder(nn.Module):
    """Aligned grey faces ``(B, T, 56, 56)`` to what moves in them, ``(B, T, C)``, without the clip's mean."""

    def __init__(self, config: ProsodyConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, (inward, outward) in enumerate(zip((1, *config.channels), config.channels, strict=False)):
            kernel, stride = (5, 4) if at == 0 else (3, 2)
            layers += [
                nn.Conv2d(inward, outward, kernel, stride, padding=kernel // 2),
                nn.GroupNorm(4, outward),
                nn.SiLU(),
            ]
        self.layers = nn.Sequential(*layers)
        with torch.no_grad():
            flat = self.layers(torch.zeros(1, 1, config.size, config.size)).numel()
        self.project = nn.Linear(flat, config.width)

    def forward(self, face: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        frames = face[mask][:, None].float() / 127.5 - 1  # (N, 1, 56, 56), real frames alone
        return subtract_mean(scatter_frames(self.project(self.layers(frames).flatten(1)), mask), mask)


def subtract_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """``(B, T, C)`` minus its mean over the real frames, in float32; padded frames are 0."""
    x, real = x.float(), mask[..., None].float()
    mean = (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
    return (x - mean) * real


class ProsodyPredictor(nn.Module):
    """Voiced content and expression to contours, and contours to channels.

    Args:
        config: of the stage.
        width: channels of the content.
        speaker: dimensions of the speaker vector, which says where the voice's pitch lies and how far it moves.
    """

    def __init__(self, config: ProsodyConfig, width: int, speaker: int) -> None:
        super().__init__()
        self.config = config
        self.expression = ExpressionEncoder(config)
        self.fuse_proj = nn.Linear(width + config.width, width)
        self.blocks = nn.ModuleList(
            ConvBlock(width, config.kernel, config.dropout, hidden=2 * width) for _ in range(config.blocks)
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
        self.place = nn.Sequential(nn.Linear(speaker, 64), nn.SiLU(), nn.Linear(64, 2))
        self.embed = build_contour_embedding(config, width)

    def forward(self, voiced: torch.Tensor, expression: torch.Tensor, mask: torch.Tensor) -> Contours:
        """Predicted contours: pitch in the speaker's own deviations, voicing as a logit.

        Args:
            voiced: content in a voice at mel rate, ``(B, 4 T, C)``.
            expression: at mel rate, ``(B, 4 T, E)``.
            mask: bool ``(B, 4 T)``.
        """
        x = self.fuse_proj(torch.cat([voiced, expression], dim=2))
        for block in self.blocks:
            x = block(x, mask)
        pitch, voicing, energy = self.head(x).float().unbind(2)
        return Contours(pitch, voicing, energy)

    def embedding(self, contours: Contours, mask: torch.Tensor) -> torch.Tensor:
        """Channels ``(B, 4 T, C)`` that say pitch, voicing (0 or 1) and energy."""
        return embed_contours(contours, mask, self.embed)


def embed_contours(contours: Contours, mask: torch.Tensor, embed: nn.Conv1d) -> torch.Tensor:
    """What an embedding of three channels makes of contours, ``(B, 4 T, C)``."""
    stacked = torch.stack(contours, dim=1) * mask[:, None]  # (B, 3, 4 T)
    out: torch.Tensor = embed(stacked).transpose(1, 2)
    return out


def build_contour_embedding(config: ProsodyConfig, width: int) -> nn.Conv1d:
    """Pitch, voicing and energy to channels."""
    return nn.Conv1d(3, width, config.kernel, padding=config.kernel // 2)


def contour_losses(predicted: Contours, target: Contours, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """L1 of pitch where voiced, cross entropy of voicing, L1 of energy, each a mean over real frames.

    Args:
        predicted: pitch in the units of the target's, voicing as a logit.
        target: voicing 0 or 1.
        mask: bool ``(B, 4 T)``.
    """
    real = mask.float()
    voiced = target.voicing * real
    pitch = ((predicted.pitch - target.pitch).abs() * voiced).sum() / voiced.sum().clamp(min=1)
    voicing = functional.binary_cross_entropy_with_logits(predicted.voicing, target.voicing, real, reduction="sum")
    energy = ((predicted.energy - target.energy).abs() * real).sum()
    return {"pitch": pitch, "voicing": voicing / real.sum(), "energy": energy / real.sum()}
