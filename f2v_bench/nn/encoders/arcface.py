"""ArcFace's iResNet-50: who a face belongs to, as a direction in 512 dimensions.

Deng et al., "ArcFace: additive angular margin loss for deep face recognition" (CVPR 2019), with the improved residual
network of Duta et al. (ICPR 2020). The names and shapes of the parameters are those of insightface's ``arcface_torch``.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACE = 112  # pixels on a side
EMBEDDING = 512
CHANNELS = (64, 128, 256, 512)
BLOCKS = (3, 4, 14, 3)
FRAMES_AT_ONCE = 64


class IBasicBlock(nn.Module):
    """Two 3x3 convolutions between batch norms, beside a shortcut; the stride is the second one's."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inward)
        self.conv1 = nn.Conv2d(inward, outward, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outward)
        self.prelu = nn.PReLU(outward)
        self.conv2 = nn.Conv2d(outward, outward, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outward)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        out: torch.Tensor = self.bn3(self.conv2(inner)) + self.downsample(x)
        return out


class IResNet50(nn.Module):
    """Aligned faces ``(B, 3, 112, 112)``, RGB in [-1, 1], to ``(B, 512)``, not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.prelu = nn.PReLU(CHANNELS[0])
        for number, (inward, outward) in enumerate(pairwise((CHANNELS[0], *CHANNELS)), 1):
            rest = (IBasicBlock(outward, outward, 1) for _ in range(BLOCKS[number - 1] - 1))
            self.add_module(f"layer{number}", nn.Sequential(IBasicBlock(inward, outward, 2), *rest))
        self.bn2 = nn.BatchNorm2d(CHANNELS[-1])
        self.fc = nn.Linear(CHANNELS[-1] * (FACE // 16) ** 2, EMBEDDING)
        self.features = nn.BatchNorm1d(EMBEDDING)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        x = self.prelu(self.bn1(self.conv1(faces)))  # (B, 64, 112, 112)
        for number in range(1, len(BLOCKS) + 1):
            x = self.get_submodule(f"layer{number}")(x)  # (B, 64, 56, 56) ... (B, 512, 7, 7)
        out: torch.Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return out

    @torch.inference_mode()
    def embed(self, face: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The identity of a clip's face, a unit vector ``(512,)``.

        Vectors of frames are averaged as they are, and the mean is normalised, as insightface does for the videos of
        IJB-C: a blurred or turned face makes a short vector, which counts less than a clear one.

        Args:
            face: uint8 ``(T, 112, 112, 3)``, RGB, aligned to ArcFace's five points, at least one frame.
        """
        device = self.fc.weight.device
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(face)), FRAMES_AT_ONCE)
        vectors = torch.cat([self(scaled(part.to(device))) for part in parts])  # (T, 512)
        found: NDArray[np.float32] = functional.normalize(vectors.mean(0), dim=0).cpu().numpy()
        return found


def scaled(face: torch.Tensor) -> torch.Tensor:
    """Pictures uint8 ``(T, 112, 112, 3)`` to ``(T, 3, 112, 112)`` in [-1, 1]."""
    return face.permute(0, 3, 1, 2).float() / 127.5 - 1


def load_arcface(path: Path, get_again: str, device: str = "cpu") -> IResNet50:
    """The network with the weights of insightface's ``backbone.pth``.

    Raises:
        F2VError: another file, or one that holds more than weights.
    """
    network = IResNet50()
    load_weights(network, read_checkpoint(path, get_again), path, get_again)
    return network.to(device)
