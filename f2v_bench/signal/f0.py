"""Fundamental frequency, protocol ``f0/v1``: for models, plots and metrics.

pYIN (Mauch and Dixon, 2014) as librosa implements it, at 16 kHz, on a 10 ms grid: frame ``i`` is centered on sample
``160 * i``. All other parameters of ``librosa.pyin`` have librosa's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.media import resample
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP_LENGTH = 160  # samples, 10 ms
FRAME_LENGTH = 1024  # samples, 64 ms: four periods of the lowest voice
F0_MIN = 65.0  # Hz
F0_MAX = 500.0  # Hz


def f0_contour(samples: NDArray[np.float32], sample_rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Estimate F0 of mono speech on a 10 ms grid.

    Args:
        samples: float32 ``(n,)``, finite, at least one sample; the scale has no effect.
        sample_rate: sample rate in Hz; other rates than 16 kHz are resampled first.

    Returns:
        F0 in Hz, float32 ``(1 + n16 // 160,)`` with ``n16`` samples at 16 kHz, 0 where unvoiced, and the times of the
        frame centers in seconds, of the same shape.

    Raises:
        ValueError: no samples.
    """
    import librosa

    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"F0 needs mono samples (n,), got shape {samples.shape}")
    mono = resample(samples, sample_rate, SAMPLE_RATE)
    pitch, _, _ = librosa.pyin(
        mono, fmin=F0_MIN, fmax=F0_MAX, sr=SAMPLE_RATE, frame_length=FRAME_LENGTH, hop_length=HOP_LENGTH
    )
    f0 = np.nan_to_num(pitch, nan=0.0).astype(np.float32)
    times = (np.arange(len(f0)) * (HOP_LENGTH / SAMPLE_RATE)).astype(np.float32)
    return f0, times


def f0_protocol() -> str:
    """Return the settings of the contour, without the resampler, for the signatures of metrics."""
    from importlib.metadata import version

    return (
        f"f0:v1/pyin-{F0_MIN:g}-{F0_MAX:g}Hz/hop-{HOP_LENGTH}/frame-{FRAME_LENGTH}/sr-{SAMPLE_RATE}"
        f"|librosa:{version('librosa')}"
    )
