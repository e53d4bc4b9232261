"""Parallel WaveGAN's generator, with the names of kan-bayashi's public checkpoints.

Yamamoto, Song, Kim, "Parallel WaveGAN: a fast waveform generation model based on generative adversarial networks with
multi-resolution spectrogram" (ICASSP 2020): a WaveNet without recursion that filters noise, told by a mel spectrogram
that is upsampled to the rate of samples. Here at 24 kHz, hop 300, as its LibriTTS and VCTK recipes train it.

It is read (``parallel_wavegan_archive``), not trained, so weights are plain. Mean and deviation of the corpus's mels,
which the checkpoints want subtracted and divided, are the buffers ``mean`` and ``scale``, as ``register_stats`` of the
published code makes them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.signal.mel_24k import HOP, N_MELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

UPSAMPLE = (4, 5, 3, 5)  # 300 samples of a frame
NEAR = 2  # frames on either side that the first layer over the mel sees
KERNEL = 3
CHUNK = 400  # frames that go through the generator at once, 5 s


class ResidualBlock(nn.Module):
    """A dilated convolution with a gate that the mel opens; what it says goes on and, beside that, straight to the end.

    Args:
        channels: of what goes on; the convolution makes twice as many.
        dilation: of its taps.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2 * channels, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
        self.conv1x1_aux = nn.Conv1d(N_MELS, 2 * channels, 1, bias=False)
        self.conv1x1_out = nn.Conv1d(channels, channels, 1)
        self.conv1x1_skip = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, C, n)`` and the mel ``(B, 80, n)`` to what goes on and what is kept, ``(B, C, n)`` each."""
        value, gate = (self.conv(x) + self.conv1x1_aux(mel)).chunk(2, dim=1)
        said = torch.tanh(value) * torch.sigmoid(gate)
        return (self.conv1x1_out(said) + x) * math.sqrt(0.5), self.conv1x1_skip(said)


class Upsampling(nn.Module):
    """Mels at the rate of samples: repeated, and smoothed over time by one kernel for all bins, factor by factor."""

    def __init__(self) -> None:
        super().__init__()
        self.up_layers = nn.Sequential()
        for factor in UPSAMPLE:
            self.up_layers.append(nn.Upsample(scale_factor=(1, factor)))
            self.up_layers.append(nn.Conv2d(1, 1, (1, 2 * factor + 1), padding=(0, factor), bias=False))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """``(B, 80, T)`` to ``(B, 80, 300 T)``."""
        out: torch.Tensor = self.up_layers(mel[:, None])[:, 0]
        return out


class Conditioning(nn.Module):
    """Five frames at a time, then upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(N_MELS, N_MELS, 2 * NEAR + 1, bias=False)
        self.upsample = Upsampling()

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """``(B, 80, T)`` to ``(B, 80, 300 T)``; the first and the last frame go on beyond their ends."""
        out: torch.Tensor = self.upsample(self.conv_in(functional.pad(mel, (NEAR, NEAR), mode="replicate")))
        return out


class ParallelWaveGAN(nn.Module):
    """Decimal-log mel ``(B, T, 80)`` and noise ``(B, 300 T)`` to samples ``(B, 300 T)`` at 24 kHz.

    Args:
        layers: residual blocks.
        stacks: rounds of dilations 1, 2, 4, ...; they divide the layers.
        channels: of a block.

    Attributes:
        context: frames on either side of its own that a sample depends on at most.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layers: int = 30, stacks: int = 3, channels: int = 64) -> None:
        super().__init__()
        dilations = [2 ** (layer % (layers // stacks)) for layer in range(layers)]
        self.context = context_frames(dilations)
        self.register_buffer("mean", torch.zeros(N_MELS))
        self.register_buffer("scale", torch.ones(N_MELS))
        self.first_conv = nn.Conv1d(1, channels, 1)
        self.upsample_net = Conditioning()
        self.conv_layers = nn.ModuleList(ResidualBlock(channels, dilation) for dilation in dilations)
        self.last_conv_layers = nn.Sequential(
            nn.ReLU(), nn.Conv1d(channels, channels, 1), nn.ReLU(), nn.Conv1d(channels, 1, 1)
        )

    def forward(self, mel: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        told = self.upsample_net(((mel - self.mean) / self.scale).transpose(1, 2))  # (B, 80, 300 T)
        x = self.first_conv(noise[:, None])  # (B, C, 300 T)
        kept = torch.zeros_like(x)
        for block in self.conv_layers:
            x, skip = block(x, told)
            kept = kept + skip
        samples: torch.Tensor = self.last_conv_layers(kept * math.sqrt(1 / len(self.conv_layers)))[:, 0]
        return samples.float()


def context_frames(dilations: list[int]) -> int:
    """Frames on either side that reach a sample, counted back from the samples through every layer."""
    reach = KERNEL // 2 * sum(dilations)  # samples
    for factor in reversed(UPSAMPLE):
        reach = -(-(reach + factor) // factor)  # a kernel of 2 factor + 1, then repetition
    return reach + NEAR


def vocode(
    generator: ParallelWaveGAN, mel: NDArray[np.float32], rng: np.random.Generator, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Samples of one clip, in pieces that know enough of their neighbours to equal the whole.

    Args:
        generator: in evaluation mode, on any device.
        mel: float32 ``(T, 80)``, decimal logarithms, see ``f2v_bench.signal.mel_24k``.
        rng: draws the noise.
        chunk: frames of a piece.

    Returns:
        float32 ``(300 T,)`` at 24 kHz, in [-1, 1].
    """
    if mel.ndim != 2 or mel.shape[1] != N_MELS:
        raise ValueError(f"a mel spectrogram is (T, {N_MELS}), got {mel.shape}")
    samples = np.empty(HOP * len(mel), np.float32)
    device = generator.mean.device
    with torch.inference_mode():
        told = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, 80)
        noise = torch.from_numpy(rng.standard_normal((1, HOP * len(mel)), np.float32)).to(device)
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - generator.context, 0), min(end + generator.context, len(mel))
            piece = generator(told[:, first:last], noise[:, HOP * first : HOP * last])
            made = piece[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = made.clamp(-1, 1).cpu().numpy()
    return samples
