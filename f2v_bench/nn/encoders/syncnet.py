"""SyncNet v2: embeddings of lips and audio whose distance measures their synchrony.

Chung and Zisserman, "Out of time: automated lip sync in the wild" (ACCV 2016). The layers, their names and their shapes
are those of the published ``syncnet_v2.model``; faces have the channels of OpenCV, blue first, 0 to 255.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint

WINDOW = 5  # video frames
CEPSTRA = 13
STEPS = 4  # frames of cepstra per video frame
AUDIO_WINDOW = WINDOW * STEPS
EMBEDDING = 1024
BATCH_SIZE = 512  # windows of audio; callers split videos themselves


class SyncNet(nn.Module):
    """Network of two towers, for lips and for audio."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_conv_block(nn.Conv2d(1, 64, 3, padding=1)),
            nn.Identity(),  # pooling of 1x1 in the published model
            *_conv_block(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_conv_block(nn.Conv2d(192, 384, 3, padding=1)),
            *_conv_block(nn.Conv2d(384, 256, 3, padding=1)),
            *_conv_block(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_conv_block(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _dense()
        self.netfclip = _dense()
        self.netcnnlip = nn.Sequential(
            *_conv_block(nn.Conv3d(3, 96, (WINDOW, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_conv_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_conv_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_conv_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv_block(nn.Conv3d(256, 512, (1, 6, 6))),
        )

    def embed_lips(self, faces: torch.Tensor) -> torch.Tensor:
        """Embed every five consecutive frames.

        Only the first layer spans several frames, so that windows share the work of all others.

        Args:
            faces: face crops, uint8 ``(T, 224, 224, 3)``, BGR, T at least 5.

        Returns:
            ``(T - 4, 1024)``.
        """
        frames = faces.permute(3, 0, 1, 2)[None].float()
        features = self.netcnnlip(frames)[0, :, :, 0, 0].T
        out: torch.Tensor = self.netfclip(features)
        return out

    def embed_audio(self, cepstra: torch.Tensor) -> torch.Tensor:
        """Embed every 20 consecutive frames of cepstra, four frames apart.

        Args:
            cepstra: MFCC ``(n, 13)`` at 100 Hz, n at least 20.

        Returns:
            ``((n - 20) // 4 + 1, 1024)``.
        """
        windows = cepstra.float().unfold(0, AUDIO_WINDOW, STEPS)[:, None]  # (windows, 1, 13, 20)
        return torch.cat([self.netfcaud(self.netcnnaud(part).flatten(1)) for part in torch.split(windows, BATCH_SIZE)])


def _conv_block(convolution: nn.Conv2d | nn.Conv3d) -> list[nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return [convolution, norm(convolution.out_channels), nn.ReLU()]


def _dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


def load_syncnet(path: Path, instructions: str, device: str = "cpu") -> SyncNet:
    """Load SyncNet with the weights of ``syncnet_v2.model``.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    network = SyncNet()
    load_weights(network, read_checkpoint(path, instructions), path, instructions)
    return network.to(device)
