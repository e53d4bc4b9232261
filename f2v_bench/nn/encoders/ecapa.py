"""ECAPA-TDNN of SpeechBrain, trained on VoxCeleb: log mel spectrogram to speaker embeddings of 192 dimensions.

Desplanques et al., "ECAPA-TDNN: emphasized channel attention, propagation and aggregation in TDNN based speaker
verification" (Interspeech 2020), as published under ``speechbrain/spkrec-ecapa-voxceleb``; names and shapes are those
of its ``embedding_model.ckpt``. Unlike in the smaller network of ``wavlm_sv``, convolutions pad by reflection and
attention takes the clip's mean and standard deviation, so that clips are embedded one by one, without padding.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.checkpoints.torch import load_weights, read_checkpoint
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_MELS = 80
N_FFT = 400  # 25 ms
HOP_LENGTH = 160  # 10 ms
FLOOR = 1e-10  # of power
TOP_DB = 80.0  # dynamic range; lower levels are clamped
CHANNELS = 1024
POOLED = 3072
EMBEDDING = 192
BOTTLENECK = 128
SCALE = 8  # groups of a Res2 convolution
DILATIONS = (2, 3, 4)
MIN_SAMPLES = HOP_LENGTH * max(DILATIONS)  # five frames: reflection padding must be shorter than the clip


def mel_filters() -> torch.Tensor:
    """Return triangular filters over the bins of the spectrum, float32 ``(80, 201)``.

    They are evenly spaced on the mel scale ``2595 log10(1 + f/700)`` from 0 to 8000 Hz. As in SpeechBrain, both sides
    of a triangle have the width of its left side, where other implementations end it at the next center.
    """
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, N_MELS + 2, dtype=torch.float64) / 2595) - 1)
    centers = edges[1:-1, None]
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)
    return (1 - (bins - centers).abs() / (centers - edges[:-2, None])).clamp(min=0).float()


def log_mel(samples: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Compute the mel spectrogram in dB, with the mean of each band over the clip removed, ``(80, 1 + n // 160)``.

    Args:
        samples: waveform ``(n,)`` at 16 kHz.
        filters: output of ``mel_filters``, on the same device.
    """
    window = torch.hamming_window(N_FFT, device=samples.device)
    spectrum = torch.stft(samples, N_FFT, HOP_LENGTH, window=window, pad_mode="constant", return_complex=True)
    power = filters @ torch.view_as_real(spectrum).square().sum(-1)
    level = 10 * power.clamp(min=FLOOR).log10()
    level = level.maximum(level.max() - TOP_DB)
    return level - level.mean(1, keepdim=True)


def _conv(before: int, after: int, kernel: int = 1, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv1d(before, after, kernel, dilation=dilation, padding="same", padding_mode="reflect")
    return nn.Sequential(OrderedDict(conv=conv))


def _norm(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(norm=nn.BatchNorm1d(channels)))


class _ConvReluNorm(nn.Module):
    def __init__(self, before: int, after: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = _conv(before, after, kernel, dilation)
        self.norm = _norm(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(functional.relu(self.conv(x)))
        return out


class _Res2(nn.Module):
    """Res2Net module: the first group of channels unchanged, then a chain of convolutions over the others."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // SCALE
        self.blocks = nn.ModuleList(_ConvReluNorm(width, width, 3, dilation) for _ in range(SCALE - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *parts = x.chunk(SCALE, dim=1)
        outputs: list[torch.Tensor] = []
        for part, block in zip(parts, self.blocks, strict=True):
            outputs.append(block(part + outputs[-1] if outputs else part))
        return torch.cat([first, *outputs], dim=1)


class _Gate(nn.Module):
    """Squeeze-excitation: channels scaled by a function of their means over the clip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, BOTTLENECK)
        self.conv2 = _conv(BOTTLENECK, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.conv2(functional.relu(self.conv1(x.mean(2, keepdim=True)))))


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.tdnn1 = _ConvReluNorm(channels, channels)
        self.res2net_block = _Res2(channels, dilation)
        self.tdnn2 = _ConvReluNorm(channels, channels)
        self.se_block = _Gate(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gated: torch.Tensor = self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))))
        return gated + x


class _Pooling(nn.Module):
    """Attentive statistics pooling, with the mean and standard deviation over all frames as context."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tdnn = _ConvReluNorm(3 * channels, BOTTLENECK)
        self.conv = _conv(BOTTLENECK, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        uniform = torch.full_like(x[:, :1], 1 / x.shape[2])
        context = [part.expand_as(x) for part in _weighted_mean_std(x, uniform)]
        attention = self.conv(torch.tanh(self.tdnn(torch.cat([x, *context], dim=1))))
        return torch.cat(_weighted_mean_std(x, attention.softmax(2)), dim=1)


def _weighted_mean_std(x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = (weight * x).sum(2, keepdim=True)
    variance = (weight * (x - mean).square()).sum(2, keepdim=True)
    return mean, variance.clamp(min=1e-12).sqrt()


class ECAPA(nn.Module):
    """Log mel spectrogram ``(B, 80, T)``, T at least 5, to speaker embeddings ``(B, 192)``, not normalized.

    Args:
        channels: channels of the blocks; the published weights have the default.
        pooled: channels before pooling; the published weights have the default.
    """

    filters: torch.Tensor

    def __init__(self, channels: int = CHANNELS, pooled: int = POOLED) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_ConvReluNorm(N_MELS, channels, 5), *(_Block(channels, d) for d in DILATIONS)])
        self.mfa = _ConvReluNorm(len(DILATIONS) * channels, pooled)
        self.asp = _Pooling(pooled)
        self.asp_bn = _norm(2 * pooled)
        self.fc = _conv(2 * pooled, EMBEDDING)
        self.register_buffer("filters", mel_filters(), persistent=False)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        outs = [mels]
        for block in self.blocks:
            outs.append(block(outs[-1]))
        x = self.mfa(torch.cat(outs[2:], dim=1))
        out: torch.Tensor = self.fc(self.asp_bn(self.asp(x)))
        return out[:, :, 0]

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed clips at 16 kHz, float32 ``(n,)``, each at least 640 samples, as unit vectors ``(clips, 192)``."""
        waves = (torch.tensor(clip, device=self.filters.device) for clip in clips)
        rows = torch.cat([self(log_mel(wave, self.filters)[None]) for wave in waves])
        embeddings: NDArray[np.float32] = functional.normalize(rows, dim=1).cpu().numpy()
        return embeddings


def load_ecapa(path: Path, instructions: str, device: str = "cpu") -> ECAPA:
    """Load the encoder with the weights of SpeechBrain's ``embedding_model.ckpt``.

    Raises:
        F2VError: another file, or one with more than weights.
    """
    encoder = ECAPA()
    load_weights(encoder, read_checkpoint(path, instructions), path, instructions)
    return encoder.to(device)
