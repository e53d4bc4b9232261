"""The mel spectrogram of public Parallel WaveGANs: 80 bins at 80 Hz of 24 kHz speech, decimal logarithm.

As kan-bayashi's recipes for 24 kHz measure it (n_fft 2048, Hann window 1200, hop 300, 80-7600 Hz, magnitude, floor
1e-10): frames are centred on every 300th sample of sound that is reflected at both ends. Of n samples, their last frame
where n is a multiple of 300 stands on the end itself and is left out, so that T frames make exactly 300 T samples.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 24_000
N_FFT = 2048  # samples
WINDOW = 1200  # samples, 50 ms, in the middle of a transform
HOP = 300  # samples, 12.5 ms
N_MELS = 80
F_MIN, F_MAX = 80.0, 7600.0  # Hz
FLOOR = 1e-10  # of the mel magnitude, before the logarithm
PAD = N_FFT // 2


@cache
def mel_filters() -> NDArray[np.float32]:
    """Slaney's triangular filters with area normalisation, float32 ``(80, 1025)``."""
    import librosa

    filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX)
    return np.asarray(filters, np.float32)


@cache
def _window() -> NDArray[np.float32]:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)  # periodic
    return np.pad(hann, (N_FFT - WINDOW) // 2).astype(np.float32)


def log_mel(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Decimal logarithms of mel magnitudes.

    Args:
        samples: float32 ``(n,)``; silence follows where there are fewer than 1025.
        sample_rate: must be 24,000.

    Returns:
        float32 ``(n // 300, 80)``, one frame at least; no value is under -10.

    Raises:
        ValueError: another sample rate.
    """
    if sample_rate != SAMPLE_RATE:
        raise ValueError(f"this mel spectrogram is defined at {SAMPLE_RATE} Hz, got {sample_rate}: resample first")
    enough = np.pad(samples, (0, max(0, PAD + 1 - len(samples))))
    padded = np.pad(enough, PAD, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: max(1, len(samples) // HOP)]
    magnitude = np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32)
    mel: NDArray[np.float32] = np.log10(np.maximum(magnitude @ mel_filters().T, FLOOR))
    return mel
