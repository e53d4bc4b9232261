"""ArcFace with iResNet-50: face embeddings of 512 dimensions.

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
BATCH_SIZE = 64  # frames


class IBasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions between batch norms, with the stride in the second one."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.prelu = nn.PReLU(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        out: torch.Tensor = self.bn3(self.conv2(inner)) + self.downsample(x)
        return out


class IResNet50(nn.Module):
    """Aligned faces ``(B, 3, 112, 112)``, RGB in [-1, 1], to embeddings ``(B, 512)``, not normalized."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.prelu = nn.PReLU(CHANNELS[0])
        for number, (in_channels, out_channels) in enumerate(pairwise((CHANNELS[0], *CHANNELS)), 1):
            rest = (IBasicBlock(out_channels, out_channels, 1) for _ in range(BLOCKS[number - 1] - 1))
            self.add_module(f"layer{number}", nn.Sequential(IBasicBlock(in_channels, out_channels, 2), *rest))
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
        """Embed the face of a clip as a unit vector ``(512,)``.

        Embeddings of frames are averaged before normalization, as in insightface for the videos of IJB-C: a blurred or
        turned face has a short embedding, which gets less weight than that of a clear one.

        Args:
            face: face crops, uint8 ``(T, 112, 112, 3)``, RGB, aligned to ArcFace's five points, at least one frame.
        """
        device = self.fc.weight.device
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(face)), BATCH_SIZE)
        vectors = torch.cat([self(scale_pixels(part.to(device))) for part in parts])  # (T, 512)
        embedding: NDArray[np.float32] = functional.normalize(vectors.mean(0), dim=0).cpu().numpy()
        return embedding


def scale_pixels(face: torch.Tensor) -> torch.Tensor:
    """Scale images, uint8 ``(T, 112, 112, 3)``, to [-1, 1]: ``(T, 3, 112, 112)``."""
    return face.permute(0, 3, 1, 2).float() / 127.5 - 1


def load_arcface(path: Path, instructions: str, device: str = "cpu") -> IResNet50:
    """Load the network with the weights of insightface's ``backbone.pth``.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    network = IResNet50()
    load_weights(network, read_checkpoint(path, instructions), path, instructions)
    return network.to(device)
