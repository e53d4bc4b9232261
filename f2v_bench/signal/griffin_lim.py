"""From mel to waveform without a network: pseudo-inverse of the filters, then Griffin-Lim.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (1984), in the accelerated form of
Perraudin et al. (2013). The named fallback of every mel-based system while no trained vocoder is at hand.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from f2v_bench.signal.mel import HOP, N_FFT, PAD, mel_filters

ITERATIONS = 60
MOMENTUM = 0.99
NAME = f"griffin-lim-{ITERATIONS}"


@cache
def _inverse_filters() -> NDArray[np.float32]:
    return np.linalg.pinv(mel_filters())


def griffin_lim(mel: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A waveform whose mel spectrogram is close to ``mel``.

    Args:
        mel: natural-log mel magnitudes ``(T, 80)`` of ``signal.mel``.
        generator: draws the phases to start from.

    Returns:
        float32 ``(160 T,)`` at 16 kHz.
    """
    import librosa

    spectrum = np.maximum(np.exp(mel) @ _inverse_filters().T, 1e-8)  # (T, 321)
    samples = librosa.griffinlim(
        spectrum.T,
        n_iter=ITERATIONS,
        hop_length=HOP,
        win_length=N_FFT,
        n_fft=N_FFT,
        center=False,
        momentum=MOMENTUM,
        init="random",
        random_state=generator,
    )
    return np.asarray(samples[PAD : PAD + HOP * len(mel)], np.float32)
