"""Stage 2, timbre: the face says whose voice it is. Aligned to GE2E's speaker space, fused by conditional layer norm.

The paper takes a static identity embedding from ArcFace. The speaker space, its losses (1 - cosine, and InfoNCE across
the batch, as DiffV2S) and the fusion are choices.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.transformer import AdaptiveLayerNorm
from reference_model.config import TimbreConfig

ARCFACE = 512  # dimensions
STAND_IN = 128


class FaceEncoder(nn.Module):
    """The small stand-in of ArcFace: aligned faces ``(N, 3, 56, 56)`` to one vector each.

    Args:
        channels: of its convolutions, each halving the picture.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inward, outward in zip((3, *channels), channels, strict=False):
            layers += [nn.Conv2d(inward, outward, 3, stride=2, padding=1), nn.GroupNorm(4, outward), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        side = -(-56 // 2 ** len(channels))  # rounded up
        self.project = nn.Linear(channels[-1] * side * side, STAND_IN)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.project(self.layers(faces).flatten(1))
        return out


class Timbre(nn.Module):
    """Faces to a speaker vector."""

    def __init__(self, config: TimbreConfig) -> None:
        super().__init__()
        self.config = config
        self.face = FaceEncoder(config.channels) if config.face == "stand-in" else None
        identity = ARCFACE if self.face is None else STAND_IN
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
        faces = identity.flatten(0, 1).movedim(-1, 1).float()  # (B K, 3, 112, 112)
        small = functional.avg_pool2d(faces, 2) / 127.5 - 1
        vectors = self.face(small).view(batch, frames, -1).mean(1)  # (B, 128)
        return functional.normalize(self.speaker(vectors), dim=1)

    def loss(self, speaker: torch.Tensor, target: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
        """1 - cosine, plus InfoNCE: among the voices of the batch, the face finds its own.

        Args:
            speaker: from faces, unit vectors ``(B, 256)``.
            target: GE2E's, unit vectors ``(B, 256)``.
            person: int64 ``(B,)``, who it is: other clips of the same person are no wrong answers, and are left out.
        """
        near = (1 - (speaker * target).sum(1)).mean()  # not of the product below, which may be in half precision
        alike = speaker @ target.T  # (B, B) cosines
        own = torch.arange(len(alike), device=alike.device)
        same = (person[:, None] == person) & (own[:, None] != own)  # (B, B)
        contrast = functional.cross_entropy(alike.masked_fill(same, -torch.inf) / self.config.temperature, own)
        return near + self.config.contrast_weight * contrast


class Fusion(nn.Module):
    """Content features in a voice: their layer norm's scale and shift are the speaker's (AdaSpeech's)."""

    def __init__(self, width: int, speaker: int) -> None:
        super().__init__()
        self.norm = AdaptiveLayerNorm(width, speaker)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, content: torch.Tensor, speaker: torch.Tensor) -> torch.Tensor:
        """``(B, T, C)`` and ``(B, 256)`` to ``(B, T, C)``."""
        out: torch.Tensor = content + self.mlp(self.norm(content, speaker))
        return out
