"""What a voice is made of before the mouth shapes it: pulses at the fundamental frequency, and noise.

The source of source-filter vocoders: Wang et al., "Neural source-filter waveform models" (ICASSP 2019); Li et al.,
"HiFTNet" (2023), who estimate F0 from the mel and filter in the domain of the short-time Fourier transform. Both parts
have the power of white noise of variance 1 wherever they sound, so that a filter's gain means the same for each.
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

KERNEL = 7  # frames, of every convolution
MIDDLE, SPREAD = 150.0, 0.35  # Hz, and the deviation of log F0, of human voices: what the network's numbers stand on
HIGHEST = SAMPLE_RATE / 2  # Hz, below which all harmonics lie
NOISE_SEED = 0  # of the noise outside training, the same for every clip


class Excitation(NamedTuple):
    """T mel frames of a source.

    Attributes:
        f0: Hz, 0 where unvoiced, ``(B, T)``.
        pulses: ``(B, 160 T)``.
        noise: ``(B, 160 T)``.
    """

    f0: torch.Tensor
    pulses: torch.Tensor
    noise: torch.Tensor

    def piece(self, first: int, end: int) -> Excitation:
        """The frames from ``first`` up to ``end``."""
        samples = slice(HOP * first, HOP * end)
        return Excitation(self.f0[:, first:end], self.pulses[:, samples], self.noise[:, samples])


class PitchNet(nn.Module):
    """F0 and voicing heard from a mel spectrogram.

    Args:
        width: channels.
        blocks: convolution blocks.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(N_MELS, width, KERNEL)
        self.embed_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvBlock(width, KERNEL, hidden=2 * width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Natural-log mel ``(B, T, 80)`` to standardised log F0 and the logit of voicing, ``(B, T)`` each."""
        x = self.embed_norm(self.embed(pad_silence(mel, KERNEL // 2)).transpose(1, 2))  # (B, T, C)
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        for block in self.blocks:
            x = block(x, mask)
        pitch, voicing = self.head(self.norm(x)).float().unbind(2)
        return pitch, voicing

    @torch.no_grad()
    def f0(self, mel: torch.Tensor) -> torch.Tensor:
        """Hz, 0 where unvoiced, ``(B, T)``."""
        pitch, voicing = self(mel)
        f0: torch.Tensor = MIDDLE * (SPREAD * pitch).exp() * (voicing > 0)
        return f0

    def losses(self, mel: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
        """L1 of standardised log F0 where voiced, and cross entropy of voicing, against ``f0`` ``(B, T)`` in Hz."""
        pitch, voicing = self(mel)
        voiced = (f0 > 0).float()
        error = (pitch - standardize_log_f0(f0)).abs()
        return {
            "pitch": (error * voiced).sum() / voiced.sum().clamp(min=1),
            "voicing": functional.binary_cross_entropy_with_logits(voicing, voiced),
        }


def standardize_log_f0(f0: torch.Tensor) -> torch.Tensor:
    """Log F0 as the networks see it, of Hz; unvoiced frames mean nothing."""
    return (f0.clamp(min=1) / MIDDLE).log() / SPREAD


def pad_silence(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """``(B, T, C)`` to ``(B, C, T + 2 frames)``: beyond a clip's ends the mel is silence, not 0, which is loud.

    Channels beside the mel's 80 are 0 there.
    """
    quiet = functional.pad(mel[..., :N_MELS].transpose(1, 2), (frames, frames), value=float(np.log(FLOOR)))
    beside = functional.pad(mel[..., N_MELS:].transpose(1, 2), (frames, frames))
    return torch.cat([quiet, beside], dim=1)


@torch.no_grad()
def excitation_inputs(f0: torch.Tensor, *, vary: bool) -> Excitation:
    """Pulses and noise for a contour.

    Args:
        f0: Hz, 0 where unvoiced, ``(B, T)``; frame t is centred on sample 160 t, as ``signal.f0`` has it.
        vary: draw the noise anew, for training; otherwise every clip gets the beginning of the same one.
    """
    samples = HOP * f0.shape[1]
    if vary:
        noise = torch.randn(len(f0), samples, device=f0.device)
    else:
        drawn = np.random.default_rng(NOISE_SEED).standard_normal(samples, np.float32)
        noise = torch.from_numpy(drawn).to(f0.device).expand(len(f0), -1)
    return Excitation(f0, pulses_at(f0), noise)


def pulses_at(f0: torch.Tensor) -> torch.Tensor:
    """As many harmonics as fit below 8 kHz, all equally loud and in phase, of unit power; zero where unvoiced.

    With p periods passed, sum over k = 1..K of cos(2 pi k p) = sin(pi (2 K + 1) p) / (2 sin(pi p)) - 1 / 2.

    Args:
        f0: Hz, 0 where unvoiced, ``(B, T)``, frame t centred on sample 160 t.

    Returns:
        ``(B, 160 T)``.
    """
    f0 = f0.float()
    after = torch.cat([f0[:, 1:], f0[:, -1:]], dim=1)  # (B, T): the frame after each
    share = torch.arange(HOP, device=f0.device) / HOP  # (160,): the way to it
    here, there = f0[..., None].expand(-1, -1, HOP), after[..., None].expand(-1, -1, HOP)  # (B, T, 160)
    between = here + (there - here) * share
    nearest = torch.where(share < 0.5, here, there)
    frequency = torch.where((here > 0) & (there > 0), between, nearest)  # (B, T, 160) Hz
    inside = (frequency.double() / SAMPLE_RATE).cumsum(2)  # periods since the frame began
    whole = inside[..., -1:] % 1  # what a frame adds; few and small numbers, so that an hour's sum stays exact
    passed = inside + whole.cumsum(1) - whole
    phase = (passed - passed.round()).float().flatten(1)  # in -1/2..1/2
    frequency = frequency.flatten(1)  # (B, 160 T)
    count = torch.floor(HIGHEST / frequency.clamp(min=1))  # K
    below = (torch.pi * phase).sin()
    near = below.abs() < 1e-4
    kernel = ((2 * count + 1) * torch.pi * phase).sin() / (2 * torch.where(near, torch.ones_like(below), below)) - 0.5
    summed = torch.where(near, count, kernel)
    return summed * (2 / count).sqrt() * (frequency > 0)
