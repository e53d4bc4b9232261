"""Small face encoder, trained together with a model where ArcFace is not used."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

FACE_DIM = 128  # channels of a face embedding
SIDE = 56  # pixels


class FaceEncoder(nn.Module):
    """Aligned faces ``(N, 3, 56, 56)``, from ``downsample2``, to face embeddings ``(N, 128)``.

    Args:
        channels: channels of the convolutions, each of which halves the image.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *channels), channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        side = -(-SIDE // 2 ** len(channels))  # rounded up
        self.project = nn.Linear(channels[-1] * side * side, FACE_DIM)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.project(self.layers(faces).flatten(1))
        return out


def downsample2(faces: torch.Tensor) -> torch.Tensor:
    """Halve aligned faces, RGB uint8 ``(..., 112, 112, 3)``, and scale them to [-1, 1]: ``(N, 3, 56, 56)``."""
    pixels = faces.flatten(0, -4).movedim(-1, 1).float()  # (N, 3, 112, 112)
    return functional.avg_pool2d(pixels, 2) / 127.5 - 1
