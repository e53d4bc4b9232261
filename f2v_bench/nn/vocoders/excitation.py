"""Excitation of source-filter vocoders: pulses at the fundamental frequency, and noise.

Wang et al., "Neural source-filter waveform models" (ICASSP 2019); Li et al., "HiFTNet" (2023), who estimate F0 from the
mel and filter in the domain of the short-time Fourier transform. Both parts have the power of white noise of variance 1
where they are not zero, so that a filter's gain has the same scale for each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.layers.transformer import ConvBlock
from f2v_bench.signal.mel import FLOOR, HOP, N_MELS
from f2v_bench.timing import SAMPLE_RATE

KERNEL = 7  # kernel size of every convolution, frames
F0_CENTER, LOG_F0_STD = 150.0, 0.35  # Hz, and standard deviation of log F0, of human voices: for standardization
NYQUIST = SAMPLE_RATE / 2  # Hz, upper limit of the harmonics
NOISE_SEED = 0  # seed of the noise outside training, the same for every clip


class Excitation(NamedTuple):
    """Excitation of T mel frames.

    Attributes:
        f0: F0 in Hz, 0 where unvoiced, ``(B, T)``.
        pulses: pulse train ``(B, 160 T)``.
        noise: white noise ``(B, 160 T)``.
    """

    f0: torch.Tensor
    pulses: torch.Tensor
    noise: torch.Tensor

    def segment(self, first: int, end: int) -> Excitation:
        """Return the frames from ``first`` up to ``end``."""
        samples = slice(HOP * first, HOP * end)
        return Excitation(self.f0[:, first:end], self.pulses[:, samples], self.noise[:, samples])


class PitchNet(nn.Module):
    """Estimator of F0 and voicing from a mel spectrogram.

    Args:
        width: channels.
        blocks: number of convolution blocks.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(N_MELS, width, KERNEL)
        self.embed_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvBlock(width, KERNEL, hidden=2 * width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map log mel ``(B, T, 80)``, natural log, to standardized log F0 and the logit of voicing, ``(B, T)`` each."""
        x = self.embed_norm(self.embed(pad_silence(mel, KERNEL // 2)).transpose(1, 2))  # (B, T, C)
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        for block in self.blocks:
            x = block(x, mask)
        pitch, voicing = self.head(self.norm(x)).float().unbind(2)
        return pitch, voicing

    @torch.no_grad()
    def f0(self, mel: torch.Tensor) -> torch.Tensor:
        """Estimate F0 in Hz, 0 where unvoiced, ``(B, T)``."""
        pitch, voicing = self(mel)
        f0: torch.Tensor = F0_CENTER * (LOG_F0_STD * pitch).exp() * (voicing > 0)
        return f0

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the L1 of standardized log F0 where voiced, and the cross entropy of voicing, given ``f0`` in Hz."""
        pitch, voicing = self(mel)
        voiced = (f0 > 0).float()
        error = (pitch - standardize_log_f0(f0)).abs()
        return {
            "pitch": (error * voiced).sum() / voiced.sum().clamp(min=1),
            "voicing": functional.binary_cross_entropy_with_logits(voicing, voiced),
        }


def standardize_log_f0(f0: torch.Tensor) -> torch.Tensor:
    """Standardize log F0, given Hz; the result has no meaning in unvoiced frames."""
    return (f0.clamp(min=1) / F0_CENTER).log() / LOG_F0_STD


def pad_silence(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Pad ``(B, T, C)`` to ``(B, C, T + 2 frames)``: the mel with silence, since 0 is loud, other channels with 0."""
    bins = functional.pad(mel[..., :N_MELS].transpose(1, 2), (frames, frames), value=float(np.log(FLOOR)))
    others = functional.pad(mel[..., N_MELS:].transpose(1, 2), (frames, frames))
    return torch.cat([bins, others], dim=1)


@torch.no_grad()
def excitation_inputs(f0: torch.Tensor, *, vary: bool) -> Excitation:
    """Generate pulses and noise for an F0 contour.

    Args:
        f0: F0 in Hz, 0 where unvoiced, ``(B, T)``; frame t is centered on sample 160 t, as in ``signal.f0``.
        vary: draw new noise, for training; otherwise every clip gets the start of the same noise.
    """
    samples = HOP * f0.shape[1]
    if vary:
        noise = torch.randn(len(f0), samples, device=f0.device)
    else:
        fixed = np.random.default_rng(NOISE_SEED).standard_normal(samples, np.float32)
        noise = torch.from_numpy(fixed).to(f0.device).expand(len(f0), -1)
    return Excitation(f0, pulse_train(f0), noise)


def pulse_train(f0: torch.Tensor) -> torch.Tensor:
    """Generate all harmonics below 8 kHz with equal amplitudes and phases, of unit power; zero where unvoiced.

    After p periods, sum over k = 1..K of cos(2 pi k p) = sin(pi (2 K + 1) p) / (2 sin(pi p)) - 1 / 2.

    Args:
        f0: F0 in Hz, 0 where unvoiced, ``(B, T)``, frame t centered on sample 160 t.

    Returns:
        ``(B, 160 T)``.
    """
    f0 = f0.float()
    following = torch.cat([f0[:, 1:], f0[:, -1:]], dim=1)  # (B, T): the next frame of each
    position = torch.arange(HOP, device=f0.device) / HOP  # (160,): from this frame to the next, 0 to 1
    this, following = f0[..., None].expand(-1, -1, HOP), following[..., None].expand(-1, -1, HOP)  # (B, T, 160)
    interpolated = this + (following - this) * position
    nearest = torch.where(position < 0.5, this, following)
    frequency = torch.where((this > 0) & (following > 0), interpolated, nearest)  # (B, T, 160) Hz
    inside = (frequency.double() / SAMPLE_RATE).cumsum(2)  # periods since the start of the frame
    whole = inside[..., -1:] % 1  # fraction that a frame adds; few and small terms, so that an hour's sum stays exact
    periods = inside + whole.cumsum(1) - whole
    phase = (periods - periods.round()).float().flatten(1)  # in -1/2..1/2
    frequency = frequency.flatten(1)  # (B, 160 T)
    count = torch.floor(NYQUIST / frequency.clamp(min=1))  # K
    sine = (torch.pi * phase).sin()
    at_pulse = sine.abs() < 1e-4
    kernel = ((2 * count + 1) * torch.pi * phase).sin() / (2 * torch.where(at_pulse, torch.ones_like(sine), sine)) - 0.5
    harmonics = torch.where(at_pulse, count, kernel)
    return harmonics * (2 / count).sqrt() * (frequency > 0)
