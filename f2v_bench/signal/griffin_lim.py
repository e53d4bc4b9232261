"""Mel spectrogram to waveform without a network: pseudo-inverse of the filters, then Griffin-Lim.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (1984), in the accelerated form of
Perraudin et al. (2013). Fallback of every mel-based system without a trained vocoder.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2v_bench.signal import mel_24k
from f2v_bench.signal.mel import HOP, N_FFT, PAD, mel_filters

ITERATIONS = 60
MOMENTUM = 0.99
NAME = f"griffin-lim-{ITERATIONS}"


@cache
def _inverse_filters() -> NDArray[np.float32]:
    return np.linalg.pinv(mel_filters())


@cache
def _inverse_filters_24k() -> NDArray[np.float32]:
    return np.linalg.pinv(mel_24k.mel_filters())


def griffin_lim(mel: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Estimate a waveform from its mel spectrogram.

    Args:
        mel: log mel spectrogram of ``signal.mel``, ``(T, 80)``, natural log.
        generator: random generator of the initial phases.

    Returns:
        float32 ``(160 T,)`` at 16 kHz.
    """
    samples = _waveform(np.exp(mel) @ _inverse_filters().T, generator, hop_length=HOP, n_fft=N_FFT, center=False)
    return samples[PAD : PAD + HOP * len(mel)]


def griffin_lim_24k(mel: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Estimate a waveform at 24 kHz from its mel spectrogram.

    Args:
        mel: log mel spectrogram of ``signal.mel_24k``, ``(T, 80)``, decimal log.
        generator: random generator of the initial phases.

    Returns:
        float32 ``(300 T,)`` at 24 kHz.
    """
    extended = np.concatenate([mel, mel[-1:]])  # with the frame at the end of the audio, which log_mel omits
    spectrum = np.power(10, extended) @ _inverse_filters_24k().T
    sizes = {"hop_length": mel_24k.HOP, "win_length": mel_24k.WINDOW, "n_fft": mel_24k.N_FFT}
    return _waveform(spectrum, generator, **sizes, length=mel_24k.HOP * len(mel))


def _waveform(spectrum: NDArray[np.float32], generator: np.random.Generator, **sizes: Any) -> NDArray[np.float32]:
    """Run librosa's Griffin-Lim on magnitudes ``(T, n_fft / 2 + 1)``."""
    import librosa

    samples = librosa.griffinlim(
        np.maximum(spectrum, 1e-8).T,
        n_iter=ITERATIONS,
        momentum=MOMENTUM,
        init="random",
        random_state=generator,
        **sizes,
    )
    return np.asarray(samples, np.float32)
