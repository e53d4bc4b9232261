"""Stage 2, timbre: the face says whose voice it is. Aligned to GE2E's speaker space, fused by conditional layer norm.

The paper takes a static identity embedding from ArcFace. The speaker space, its losses (1 - cosine, and InfoNCE across
the batch, as DiffV2S) and the fusion are choices.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.encoders.face_encoder import FACE_DIM, FaceEncoder, downsample2
from f2v_bench.nn.layers.transformer import AdaptiveLayerNorm
from f2v_bench.nn.losses.infonce import info_nce
from reference_model.config import TimbreConfig

ARCFACE_DIM = 512  # dimensions


class TimbreEncoder(nn.Module):
    """Faces to a speaker vector."""

    def __init__(self, config: TimbreConfig) -> None:
        super().__init__()
        self.config = config
        self.face = FaceEncoder(config.channels) if config.face == "stand-in" else None
        identity = ARCFACE_DIM if self.face is None else FACE_DIM
        self.speaker = nn.Sequential(
            nn.LayerNorm(identity), nn.Linear(identity, config.speaker), nn.SiLU(), nn.Dropout(0.1),
            nn.Linear(config.speaker, config.speaker),
        )  # fmt: skip

    def forward(self, identity: torch.Tensor) -> torch.Tensor:
        """Unit vectors of the speaker space ``(B, 256)``.

        Args:
            identity: faces, uint8 ``(B, K, 112, 112, 3)``, or, with ArcFace, its embeddings ``(B, 512)``.
        """
        if self.face is None:
            return functional.normalize(self.speaker(identity), dim=1)
        batch, frames = identity.shape[:2]
        vectors = self.face(downsample2(identity)).view(batch, frames, -1).mean(1)  # (B, 128)
        return functional.normalize(self.speaker(vectors), dim=1)

    def loss(self, speaker: torch.Tensor, target: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
        """1 - cosine, plus InfoNCE: among the voices of the batch, the face finds its own.

        Args:
            speaker: from faces, unit vectors ``(B, 256)``.
            target: GE2E's, unit vectors ``(B, 256)``.
            person: int64 ``(B,)``, who it is: other clips of the same person are no wrong answers, and are left out.
        """
        near = (1 - (speaker * target).sum(1)).mean()  # no matrix product, which may be in half precision
        return near + self.config.contrast_weight * info_nce(speaker, target, person, self.config.temperature)


class SpeakerFusion(nn.Module):
    """Content features in a voice: their layer norm's scale and shift are the speaker's (AdaSpeech's)."""

    def __init__(self, width: int, speaker: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(width, speaker)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, content: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` and ``(B, 256)`` to ``(B, T, C)``."""
        out: torch.Tensor = content + self.mlp(self.norm(content, speaker))
        return out
