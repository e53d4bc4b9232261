"""Mel spectrogram: 80 bins at 100 Hz of 16 kHz speech, natural logarithm.

As in Intelligible and AlignDiT (n_fft 640, window 640, hop 160, 0-8000 Hz, magnitude, floor 1e-5), with the frames of
HiFi-GAN: reflection padding of (n_fft - hop) / 2 on both sides, so that n samples give exactly n / 160 frames and a
video frame of 640 samples gives exactly four.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from f2v_bench.timing import SAMPLE_RATE

N_FFT = 640  # samples, 40 ms: one video frame
HOP = 160  # samples, 10 ms
N_MELS = 80
F_MIN, F_MAX = 0.0, 8000.0  # Hz
FLOOR = 1e-5  # smallest mel magnitude, before the logarithm
PAD = (N_FFT - HOP) // 2
FRAME_RATE = SAMPLE_RATE // HOP  # mel frames per second


@cache
def mel_filters() -> NDArray[np.float32]:
    """Return Slaney's triangular filters with area normalization, float32 ``(80, 321)``."""
    import librosa

    filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX)
    return np.asarray(filters, np.float32)


@cache
def _window() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)  # periodic Hann


def magnitude(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute the short-time Fourier magnitude.

    Args:
        samples: float32 ``(n,)``; fewer than 241 samples are padded with zeros.
        sample_rate: sample rate in Hz, 16,000.

    Returns:
        float32 ``(n // 160, 321)``.

    Raises:
        ValueError: another sample rate.
    """
    if sample_rate != SAMPLE_RATE:
        raise ValueError(f"the mel spectrogram is defined at {SAMPLE_RATE} Hz, got {sample_rate}: resample first")
    if len(samples) <= PAD:
        padded = np.pad(samples, (PAD, 2 * PAD + 1 - len(samples)))
    else:
        padded = np.pad(samples, PAD, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: max(1, len(samples) // HOP)]
    return np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32)


def log_mel(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Compute log mel magnitudes, natural log, float32 ``(n // 160, 80)``, at least ln 1e-5 = -11.51.

    Raises:
        ValueError: a sample rate other than 16,000.
    """
    mel: NDArray[np.float32] = np.log(np.maximum(magnitude(samples, sample_rate) @ mel_filters().T, FLOOR))
    return mel
