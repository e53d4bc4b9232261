"""Parallel WaveGAN's generator, with the parameter names of kan-bayashi's public checkpoints.

Yamamoto, Song, Kim, "Parallel WaveGAN: a fast waveform generation model based on generative adversarial networks with
multi-resolution spectrogram" (ICASSP 2020): a non-autoregressive WaveNet that filters noise, conditioned on a mel
spectrogram upsampled to the sample rate. Here at 24 kHz, hop 300, as in its LibriTTS and VCTK recipes.

It is for inference only (``parallel_wavegan_checkpoint``), so that weights are plain. Mean and standard deviation of
the corpus, with which the checkpoints standardize mels, are the buffers ``mean`` and ``scale``, as in
``register_stats`` of the published code.
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

UPSAMPLE = (4, 5, 3, 5)  # 300 samples per frame
CONTEXT = 2  # frames on either side in the first layer over the mel
KERNEL = 3
CHUNK = 400  # frames per forward pass, 5 s


class ResidualBlock(nn.Module):
    """WaveNet block: dilated convolution with a gate, conditioned on the mel, with a residual and a skip output.

    Args:
        channels: channels of the input and of both outputs.
        dilation: dilation of the convolution.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2 * channels, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
        self.conv1x1_aux = nn.Conv1d(N_MELS, 2 * channels, 1, bias=False)
        self.conv1x1_out = nn.Conv1d(channels, channels, 1)
        self.conv1x1_skip = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map ``(B, C, n)`` and the mel ``(B, 80, n)`` to residual and skip output, ``(B, C, n)`` each."""
        value, gate = (self.conv(x) + self.conv1x1_aux(mel)).chunk(2, dim=1)
        gated = torch.tanh(value) * torch.sigmoid(gate)
        return (self.conv1x1_out(gated) + x) * math.sqrt(0.5), self.conv1x1_skip(gated)


class Upsampling(nn.Module):
    """Upsampling of mels to the sample rate: repetition and one smoothing kernel for all bins, factor by factor."""

    def __init__(self) -> None:
        super().__init__()
        self.up_layers = nn.Sequential()
        for factor in UPSAMPLE:
            self.up_layers.append(nn.Upsample(scale_factor=(1, factor)))
            self.up_layers.append(nn.Conv2d(1, 1, (1, 2 * factor + 1), padding=(0, factor), bias=False))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Map ``(B, 80, T)`` to ``(B, 80, 300 T)``."""
        out: torch.Tensor = self.up_layers(mel[:, None])[:, 0]
        return out


class Conditioning(nn.Module):
    """Convolution over five frames, then upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv1d(N_MELS, N_MELS, 2 * CONTEXT + 1, bias=False)
        self.upsample = Upsampling()

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Map ``(B, 80, T)`` to ``(B, 80, 300 T)``, padded with copies of the first and the last frame."""
        out: torch.Tensor = self.upsample(self.conv_in(functional.pad(mel, (CONTEXT, CONTEXT), mode="replicate")))
        return out


class ParallelWaveGAN(nn.Module):
    """Mel ``(B, T, 80)``, decimal log, and noise ``(B, 300 T)`` to samples ``(B, 300 T)`` at 24 kHz.

    Args:
        layers: number of residual blocks.
        stacks: number of cycles of dilations 1, 2, 4, ..., a divisor of the layers.
        channels: channels of a block.

    Attributes:
        context: receptive field, frames on either side of a sample's own frame.
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
        condition = self.upsample_net(((mel - self.mean) / self.scale).transpose(1, 2))  # (B, 80, 300 T)
        x = self.first_conv(noise[:, None])  # (B, C, 300 T)
        skips = torch.zeros_like(x)
        for block in self.conv_layers:
            x, skip = block(x, condition)
            skips = skips + skip
        samples: torch.Tensor = self.last_conv_layers(skips * math.sqrt(1 / len(self.conv_layers)))[:, 0]
        return samples.float()


def context_frames(dilations: list[int]) -> int:
    """Return the receptive field in frames on either side, counted from the samples back through every layer."""
    reach = KERNEL // 2 * sum(dilations)  # samples
    for factor in reversed(UPSAMPLE):
        reach = -(-(reach + factor) // factor)  # a kernel of 2 factor + 1, then repetition
    return reach + CONTEXT


def vocode(
    generator: ParallelWaveGAN, mel: NDArray[np.float32], rng: np.random.Generator, chunk: int = CHUNK
) -> NDArray[np.float32]:
    """Convert the mel spectrogram of one clip to samples, in chunks with enough context to equal the whole.

    Args:
        generator: generator in evaluation mode, on any device.
        mel: log mel spectrogram of ``f2v_bench.signal.mel_24k``, float32 ``(T, 80)``, decimal log.
        rng: random generator of the noise.
        chunk: frames of a chunk.

    Returns:
        float32 ``(300 T,)`` at 24 kHz, in [-1, 1].
    """
    if mel.ndim != 2 or mel.shape[1] != N_MELS:
        raise ValueError(f"a mel spectrogram is (T, {N_MELS}), got {mel.shape}")
    samples = np.empty(HOP * len(mel), np.float32)
    device = generator.mean.device
    with torch.inference_mode():
        whole = torch.from_numpy(mel)[None].to(device, torch.float32)  # (1, T, 80)
        noise = torch.from_numpy(rng.standard_normal((1, HOP * len(mel)), np.float32)).to(device)
        for start in range(0, len(mel), chunk):
            end = min(start + chunk, len(mel))
            first, last = max(start - generator.context, 0), min(end + generator.context, len(mel))
            padded = generator(whole[:, first:last], noise[:, HOP * first : HOP * last])
            inner = padded[0, HOP * (start - first) : HOP * (end - first)]
            samples[HOP * start : HOP * end] = inner.clamp(-1, 1).cpu().numpy()
    return samples
