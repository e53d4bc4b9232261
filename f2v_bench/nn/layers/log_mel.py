"""Differentiable log mel spectrogram for batches, with the constants and filters of ``f2v_bench.signal.mel``."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from f2v_bench.signal.mel import FLOOR, HOP, N_FFT, PAD, mel_filters

TINY = 1e-12  # smallest power before the square root, whose gradient at 0 is infinite


def magnitude(samples: torch.Tensor, window: torch.Tensor, hop: int, pad: int) -> torch.Tensor:
    """Compute the short-time Fourier magnitude with a gradient that is finite everywhere.

    Args:
        samples: waveforms ``(B, n)``, reflected by ``pad`` on both sides; zeros are added where n is at most ``pad``.
        window: window ``(n_fft,)``.
        hop: samples between frames.
        pad: samples added on each side, such that n + 2 pad is at least n_fft for n above ``pad``.

    Returns:
        float32 ``(B, (n + 2 pad - n_fft) // hop + 1, n_fft // 2 + 1)``; at least 1e-6.
    """
    short = max(0, pad + 1 - samples.shape[1])
    mode = "constant" if short else "reflect"
    with torch.autocast(samples.device.type, enabled=False):  # bfloat16 lacks the dynamic range
        padded = functional.pad(samples.float()[:, None], (pad, pad + short), mode)[:, 0]  # (B, n + 2 pad)
        spectrum = torch.stft(padded, len(window), hop, window=window, center=False, return_complex=True)  # (B, F, T)
        power = spectrum.real.square() + spectrum.imag.square()
        return power.clamp(min=TINY).sqrt().transpose(1, 2)


class LogMel(nn.Module):
    """Log mel spectrogram of waveforms ``(B, n)`` at 16 kHz, natural log, float32 ``(B, n // 160, 80)``.

    Equal within 1e-4 to ``f2v_bench.signal.mel.log_mel``: values are at least ln 1e-5, and there is at least one frame.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters()).T.contiguous(), persistent=False)  # (321, 80)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        spectrum = magnitude(samples, self.window, HOP, PAD)  # (B, T, 321)
        with torch.autocast(samples.device.type, enabled=False):
            mel = spectrum @ self.filters  # (B, T, 80)
            return mel.clamp(min=FLOOR).log()[:, : max(1, samples.shape[1] // HOP)]
