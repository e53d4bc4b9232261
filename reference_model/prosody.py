"""Stage 3, prosody: facial expression to pitch, voicing and energy contours at mel rate.

The paper: an expression encoder, predicted pitch and energy. Contours are embedded and added as in FastSpeech 2 (Ren et
al., ICLR 2021): the true ones in training, the predicted ones at synthesis. Choices: a convolutional expression encoder
on the aligned face, minus its clip mean, so that a still face gives zeros; voicing as a contour of its own; log F0
predicted in deviations from the speaker's mean, which is predicted from the speaker embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.masking import scatter_frames
from f2v_bench.nn.layers.transformer import ConvBlock
from reference_model.config import ConditionConfig, ContentConfig, ProsodyConfig


class Contours(NamedTuple):
    """Contours at mel rate, each ``(B, 4 T)``.

    Attributes:
        pitch: log F0, standardized over the corpus; 0 where unvoiced.
        voicing: 1 where voiced, 0 elsewhere; the logit of a prediction.
        energy: log energy, standardized over the corpus.
    """

    pitch: torch.Tensor
    voicing: torch.Tensor
    energy: torch.Tensor


class ExpressionEncoder(nn.Module):
    """Encoder from aligned gray faces ``(B, T, 56, 56)`` to expression features ``(B, T, C)`` without the clip mean."""

    def __init__(self, config: ProsodyConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, (channels_in, channels_out) in enumerate(zip((1, *config.channels), config.channels, strict=False)):
            kernel, stride = (5, 4) if at == 0 else (3, 2)
            layers += [
                nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2),
                nn.GroupNorm(4, channels_out),
                nn.SiLU(),
            ]
        self.layers = nn.Sequential(*layers)
        with torch.no_grad():
            flat = self.layers(torch.zeros(1, 1, config.size, config.size)).numel()
        self.project = nn.Linear(flat, config.width)

    def forward(self, face: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map faces, uint8 ``(B, T, 56, 56)``, with ``mask`` ``(B, T)`` to ``(B, T, C)``."""
        frames = face[mask][:, None].float() / 127.5 - 1  # (N, 1, 56, 56), real frames alone
        return subtract_mean(scatter_frames(self.project(self.layers(frames).flatten(1)), mask), mask)


def subtract_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Subtract from ``(B, T, C)`` its mean over the real frames, in float32; padded frames become 0."""
    x, real = x.float(), mask[..., None].float()
    mean = (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
    return (x - mean) * real


def conv_blocks(width: int, config: ContentConfig | ProsodyConfig | ConditionConfig) -> nn.ModuleList:
    """Build the convolution blocks of a part, with its number of blocks, kernel and dropout."""
    return nn.ModuleList(
        ConvBlock(width, config.kernel, config.dropout, hidden=2 * width) for _ in range(config.blocks)
    )


class ProsodyPredictor(nn.Module):
    """Predictor of contours from voiced content and expression.

    Args:
        config: settings of the stage.
        width: channels of the content.
        speaker: dimensions of the speaker embedding, from which mean and deviation of the speaker's pitch follow.
    """

    def __init__(self, config: ProsodyConfig, width: int, speaker: int) -> None:
        super().__init__()
        self.config = config
        self.expression = ExpressionEncoder(config)
        self.fuse_proj = nn.Linear(width + config.width, width)
        self.blocks = conv_blocks(width, config)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
        self.pitch_stats = nn.Sequential(nn.Linear(speaker, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, voiced: torch.Tensor, expression: torch.Tensor, mask: torch.Tensor) -> Contours:
        """Predict contours: pitch in the speaker's own deviations, voicing as a logit.

        Args:
            voiced: content fused with the speaker, at mel rate, ``(B, 4 T, C)``.
            expression: expression features at mel rate, ``(B, 4 T, E)``.
            mask: bool ``(B, 4 T)``, True at real frames.
        """
        x = self.fuse_proj(torch.cat([voiced, expression], dim=2))
        for block in self.blocks:
            x = block(x, mask)
        pitch, voicing, energy = self.head(x).float().unbind(2)
        return Contours(pitch, voicing, energy)


class ContourEmbedding(nn.Module):
    """Embedding of pitch, voicing (0 or 1) and energy by a convolution."""

    def __init__(self, config: ProsodyConfig, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, width, config.kernel, padding=config.kernel // 2)

    def forward(self, contours: Contours, mask: torch.Tensor) -> torch.Tensor:
        """Map contours with ``mask`` ``(B, 4 T)`` to ``(B, 4 T, C)``."""
        stacked = torch.stack(contours, dim=1) * mask[:, None]  # (B, 3, 4 T)
        out: torch.Tensor = self.conv(stacked).transpose(1, 2)
        return out


def contour_losses(prediction: Contours, target: Contours, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compute L1 of pitch where voiced, cross entropy of voicing, L1 of energy, each a mean over real frames.

    Args:
        prediction: contours with pitch in the units of the target's, voicing as a logit.
        target: contours with voicing 0 or 1.
        mask: bool ``(B, 4 T)``, True at real frames.
    """
    real = mask.float()
    voiced = target.voicing * real
    pitch = ((prediction.pitch - target.pitch).abs() * voiced).sum() / voiced.sum().clamp(min=1)
    voicing = functional.binary_cross_entropy_with_logits(prediction.voicing, target.voicing, real, reduction="sum")
    energy = ((prediction.energy - target.energy).abs() * real).sum()
    return {"pitch": pitch, "voicing": voicing / real.sum(), "energy": energy / real.sum()}
