"""Vocos' way from mel to samples: ConvNeXt blocks at the frame rate, then one inverse short-time Fourier transform.

Siuzdak, "Vocos: closing the gap between time-domain and Fourier-based neural vocoders" (ICLR 2024). No layer runs at
the sample rate, so that a CPU trains it. Choices of ours: the log magnitude is a residual on the mel's own envelope,
which an untrained network would take thousands of steps to copy; beyond a clip's ends the mel is silence, not zeros (a
log mel of 0 is loud); blocks are the suite's own.
"""

from __future__ import annotations

from math import log

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.nn.transformer import ConvBlock
from f2v_bench.nn.vocoder import VocoderConfig
from f2v_bench.signal.mel import F_MAX, F_MIN, FLOOR, HOP, N_FFT, N_MELS, SAMPLE_RATE, mel_filters

KERNEL = 7  # frames, of every convolution


def envelope(n_fft: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What makes a flat spectrum's log magnitudes of a log mel: ``(mel - offset) @ shares``.

    A filter of weights W turns a magnitude s that is even over its band into s sum(W): the offset is ln sum(W). Between
    the centres of two filters the shares draw a line.

    Args:
        n_fft: of the transform wanted; a longer one has larger magnitudes than the mel's.

    Returns:
        offset ``(80,)`` and shares ``(80, n_fft / 2 + 1)``, which sum to 1 for each bin.
    """
    import librosa

    lines = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, norm=None)
    lines[0, 0] = lines[-1, -1] = 1.0  # the outermost bins lie in no filter
    offset = torch.from_numpy(mel_filters().sum(1)).log() - log(n_fft / N_FFT)
    return offset, torch.from_numpy(lines / lines.sum(0)).float()


class InverseSTFT(nn.Module):
    """Spectra to samples by overlap-add, T frames to exactly 160 T samples.

    With frames every 160 samples and n_fft / 2 - 80 samples cut from both ends, frame t is centred on the samples
    160 t to 160 (t + 1), as the frames of ``f2v_bench.signal.mel`` are.

    Args:
        n_fft: samples of a frame, an even multiple of 160.
    """

    window: torch.Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Complex ``(B, T, n_fft / 2 + 1)`` to ``(B, 160 T)``."""
        count = spectrum.shape[1]
        frames = torch.fft.irfft(spectrum, dim=2) * self.window  # (B, T, n_fft)
        energy = self.window.square().expand(1, count, -1)  # (1, T, n_fft)
        cut = (len(self.window) - HOP) // 2
        inside = slice(cut, cut + HOP * count)
        return overlapped(frames)[:, inside] / overlapped(energy)[:, inside]


def overlapped(frames: torch.Tensor) -> torch.Tensor:
    """Frames ``(B, T, n)`` summed where they overlap, each 160 samples after the one before: ``(B, 160 (T - 1) + n)``.

    A frame is n / 160 hops; the k-th hops of all frames form a signal that begins at hop k.
    """
    batch, count, size = frames.shape
    parts = size // HOP
    hops = frames.view(batch, count, parts, HOP)
    out = frames.new_zeros(batch, count + parts - 1, HOP)
    for part in range(parts):
        out[:, part : part + count] += hops[:, :, part]
    return out.flatten(1)


class ISTFTVocoder(nn.Module):
    """Mel ``(B, T, 80)`` to samples ``(B, 160 T)``: blocks, then log magnitude and phase of every bin.

    Attributes:
        context: frames on either side of its own that a sample depends on at most.
    """

    offset: torch.Tensor
    shares: torch.Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        offset, shares = envelope(config.n_fft)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("shares", shares, persistent=False)
        self.loudest = log(config.n_fft / 2)  # samples within 1 have no magnitude above the window's sum
        self.embed = nn.Conv1d(N_MELS, config.width, KERNEL)
        self.embed_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(ConvBlock(config.width, KERNEL, hidden=config.hidden) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.n_fft + 2)
        self.inverse = InverseSTFT(config.n_fft)
        self.context = (config.blocks + 1) * (KERNEL // 2) + config.n_fft // HOP // 2
        for layer in (self.embed, self.head):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        quiet = functional.pad(mel.transpose(1, 2), (KERNEL // 2, KERNEL // 2), value=log(FLOOR))  # (B, 80, T + 6)
        x = self.embed_norm(self.embed(quiet).transpose(1, 2))  # (B, T, C)
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        for block in self.blocks:
            x = block(x, mask)
        residual, phase = self.head(self.norm(x)).float().chunk(2, dim=2)  # (B, T, n_fft / 2 + 1) each
        with torch.autocast(mel.device.type, enabled=False):  # no bfloat16 in transforms and phases
            logarithm = (mel.float() - self.offset) @ self.shares + residual
            spectrum = torch.polar(logarithm.clamp(max=self.loudest).exp(), phase)
            samples: torch.Tensor = self.inverse(spectrum)  # (B, 160 T)
        return samples
