"""Mel spectrogram of public Parallel WaveGANs: 80 bins at 80 Hz of 24 kHz speech, decimal logarithm.

As in kan-bayashi's recipes for 24 kHz (n_fft 2048, Hann window 1200, hop 300, 80-7600 Hz, magnitude, floor 1e-10):
frames are centered on every 300th sample, with reflection padding. Where the number of samples is a multiple of 300,
the recipes' last frame is at the end of the audio; it is left out, so that T frames give exactly 300 T samples.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 24_000
N_FFT = 2048  # samples
WINDOW = 1200  # samples, 50 ms, in the center of a transform
HOP = 300  # samples, 12.5 ms
N_MELS = 80
F_MIN, F_MAX = 80.0, 7600.0  # Hz
FLOOR = 1e-10  # smallest mel magnitude, before the logarithm
PAD = N_FFT // 2


@cache
def mel_filters() -> NDArray[np.float32]:
    """Return Slaney's triangular filters with area normalization, float32 ``(80, 1025)``."""
    import librosa

    filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX)
    return np.asarray(filters, np.float32)


@cache
def _window() -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)  # periodic
    return np.pad(hann, (N_FFT - WINDOW) // 2).astype(np.float32)


def log_mel(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute log mel magnitudes, decimal log.

    Args:
        samples: float32 ``(n,)``; fewer than 1025 samples are padded with zeros.
        sample_rate: sample rate in Hz, 24,000.

    Returns:
        float32 ``(n // 300, 80)``, at least one frame and at least -10.

    Raises:
        ValueError: another sample rate.
    """
    if sample_rate != SAMPLE_RATE:
        raise ValueError(f"this mel spectrogram is defined at {SAMPLE_RATE} Hz, got {sample_rate}: resample first")
    extended = np.pad(samples, (0, max(0, PAD + 1 - len(samples))))
    padded = np.pad(extended, PAD, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: max(1, len(samples) // HOP)]
    magnitude = np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32)
    mel: NDArray[np.float32] = np.log10(np.maximum(magnitude @ mel_filters().T, FLOOR))
    return mel
