"""SyncNet v2: whether lips and sound belong to the same moment, as a distance between two embeddings.

Chung and Zisserman, "Out of time: automated lip sync in the wild" (ACCV 2016). The layers, their names and their shapes
are those of the published ``syncnet_v2.model``; faces go in as OpenCV reads pictures, blue first, 0 to 255.
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
WINDOWS_AT_ONCE = 512  # of sound; pictures come in blocks of the caller's


class SyncNet(nn.Module):
    """The two towers."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_convolved(nn.Conv2d(1, 64, 3, padding=1)),
            nn.Identity(),  # a pooling of 1x1 in the published model
            *_convolved(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, (1, 2)),
            *_convolved(nn.Conv2d(192, 384, 3, padding=1)),
            *_convolved(nn.Conv2d(384, 256, 3, padding=1)),
            *_convolved(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, 2),
            *_convolved(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _dense()
        self.netfclip = _dense()
        self.netcnnlip = nn.Sequential(
            *_convolved(nn.Conv3d(3, 96, (WINDOW, 7, 7), (1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolved(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_convolved(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_convolved(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_convolved(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_convolved(nn.Conv3d(256, 512, (1, 6, 6))),
        )

    def lips(self, faces: torch.Tensor) -> torch.Tensor:
        """Embeddings of every five consecutive frames.

        Args:
            faces: uint8 ``(T, 224, 224, 3)``, blue, green, red, T at least 5.

        Returns:
            ``(T - 4, 1024)``. Only the first layer looks beyond a frame, so that windows share all the others' work.
        """
        frames = faces.permute(3, 0, 1, 2)[None].float()
        seen = self.netcnnlip(frames)[0, :, :, 0, 0].T
        out: torch.Tensor = self.netfclip(seen)
        return out

    def sound(self, cepstra: torch.Tensor) -> torch.Tensor:
        """Embeddings of every 20 consecutive frames of cepstra, four frames apart.

        Args:
            cepstra: ``(n, 13)`` at 100 Hz, n at least 20.

        Returns:
            ``((n - 20) // 4 + 1, 1024)``.
        """
        windows = cepstra.float().unfold(0, AUDIO_WINDOW, STEPS)[:, None]  # (windows, 1, 13, 20)
        heard = [self.netfcaud(self.netcnnaud(part).flatten(1)) for part in torch.split(windows, WINDOWS_AT_ONCE)]
        return torch.cat(heard)


def _convolved(convolution: nn.Conv2d | nn.Conv3d) -> list[nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return [convolution, norm(convolution.out_channels), nn.ReLU()]


def _dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, EMBEDDING))


def load_syncnet(path: Path, get_again: str, device: str = "cpu") -> SyncNet:
    """SyncNet with the weights of ``syncnet_v2.model``.

    Raises:
        F2VError: another file, or one that holds more than weights.
    """
    network = SyncNet()
    load_weights(network, read_checkpoint(path, get_again), path, get_again)
    return network.to(device)
