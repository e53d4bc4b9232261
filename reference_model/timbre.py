"""Stage 2, timbre: face identity to a speaker embedding, aligned to GE2E's speaker space.

The paper takes a static identity embedding from ArcFace. The speaker space, its losses (1 - cosine, and InfoNCE across
the batch, as DiffV2S) and the fusion by conditional layer norm are choices.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.encoders.face_encoder import FACE_DIM, FaceEncoder, downsample2
from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm
from f2v_bench.nn.losses.infonce import info_nce
from reference_model.config import TimbreConfig

ARCFACE_DIM = 512


class TimbreEncoder(nn.Module):
    """Encoder from faces to a speaker embedding."""

    def __init__(self, config: TimbreConfig) -> None:
        super().__init__()
        self.config = config
        self.face = FaceEncoder(config.channels) if config.face == "small" else None
        identity = ARCFACE_DIM if self.face is None else FACE_DIM
        self.speaker = nn.Sequential(
            nn.LayerNorm(identity), nn.Linear(identity, config.speaker), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(config.speaker, config.speaker),
        )  # fmt: skip

    def forward(self, identity: torch.Tensor) -> torch.Tensor:
        """Return speaker embeddings, unit vectors ``(B, 256)``.

        Args:
            identity: faces, uint8 ``(B, K, 112, 112, 3)``, or ArcFace embeddings ``(B, 512)`` if the config takes them.
        """
        if self.face is None:
            return functional.normalize(self.speaker(identity), dim=1)
        batch, frames = identity.shape[:2]
        vectors = self.face(downsample2(identity)).view(batch, frames, -1).mean(1)  # (B, 128)
        return functional.normalize(self.speaker(vectors), dim=1)

    def loss(self, speaker: torch.Tensor, target: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
        """Compute 1 - cosine, plus InfoNCE of each face against the voices of the batch.

        Args:
            speaker: embeddings predicted from faces, unit vectors ``(B, 256)``.
            target: GE2E embeddings of the audio, unit vectors ``(B, 256)``.
            person: speaker index, int64 ``(B,)``; other clips of the same speaker are no negatives.
        """
        cosine_loss = (1 - (speaker * target).sum(1)).mean()  # no matrix product, which may run in half precision
        return cosine_loss + self.config.contrast_weight * info_nce(speaker, target, person, self.config.temperature)


class SpeakerFusion(nn.Module):
    """Conditional layer norm of content features: the speaker sets scale and shift (AdaSpeech)."""

    def __init__(self, width: int, speaker: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(width, speaker)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, content: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
        """Map content ``(B, T, C)`` and speaker embeddings ``(B, 256)`` to ``(B, T, C)``."""
        out: torch.Tensor = content + self.mlp(self.norm(content, speaker))
        return out
