"""MFCC of SyncNet's training, equal to those of the package ``python_speech_features``.

Samples are 16-bit integers, with pre-emphasis 0.97 over the whole signal, 25 ms frames every 10 ms without a window,
zeros after the end, 26 triangular filters on integer FFT bins, a liftered orthonormal cosine transform, and the
logarithm of the frame's energy in place of the first coefficient.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME = 400
HOP_LENGTH = 160
N_FFT = 512
FILTERS = 26
CEPSTRA = 13
LIFTER = 22
PRE_EMPHASIS = 0.97
FULL_SCALE = 32_768


def mfcc(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute MFCC ``(1 + ceil((n - 400) / 160), 13)`` of float32 ``(n,)`` at 16 kHz.

    Raises:
        ValueError: no samples.
    """
    from scipy.fft import dct

    if not len(samples):
        raise ValueError("MFCC need at least one sample")
    integers = np.clip(np.rint(samples.astype(np.float64) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    emphasized = np.append(integers[0], integers[1:] - PRE_EMPHASIS * integers[:-1])
    hops = max(0, -(-(len(emphasized) - FRAME) // HOP_LENGTH))
    padded = np.pad(emphasized, (0, hops * HOP_LENGTH + FRAME - len(emphasized)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP_LENGTH]
    power = np.abs(np.fft.rfft(frames, N_FFT)) ** 2 / N_FFT
    energy = _nonzero(power.sum(axis=1))
    bands = _nonzero(power @ _filters().T)
    order = np.arange(CEPSTRA)
    cepstra: NDArray[np.float64] = dct(np.log(bands), type=2, axis=1, norm="ortho")[:, :CEPSTRA]
    cepstra = cepstra * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
    cepstra[:, 0] = np.log(energy)
    return cepstra


def _nonzero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0, np.finfo(np.float64).eps, values)


@cache
def _filters() -> NDArray[np.float64]:
    """Return triangular filters ``(26, 257)`` with corners on whole bins, evenly spaced in mel."""
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), FILTERS + 2)  # 2595 log10(1 + f / 700)
    corners = np.floor((N_FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)
    low, peak, high = (corners[start : start + FILTERS, None] for start in range(3))
    bins = np.arange(N_FFT // 2 + 1)
    rising = np.where((low <= bins) & (bins < peak), (bins - low) / (peak - low), 0)
    falling = np.where((peak <= bins) & (bins < high), (high - bins) / (high - peak), 0)
    triangles: NDArray[np.float64] = rising + falling
    return triangles
