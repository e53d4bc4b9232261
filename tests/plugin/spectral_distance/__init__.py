"""Log-spectral distance (Gray and Markel, "Distance measures for speech processing", 1976) for f2v-bench."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT

from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, Need, PerClipMetric, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

FRAME, HOP = 512, 160  # samples at 16 kHz: 32 ms and 10 ms
FLOOR = 1e-8  # power of silence


def log_spectral_distance(audio: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the root mean square difference of log power spectra over frequency, mean over frames, in dB.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech, of the same length.
    """
    transform = ShortTimeFFT(np.hanning(FRAME), hop=HOP, fs=SAMPLE_RATE)
    power, power_ref = (10 * np.log10(np.abs(transform.stft(x)) ** 2 + FLOOR) for x in (audio, reference))
    return float(np.sqrt(((power - power_ref) ** 2).mean(axis=0)).mean())


class LogSpectralDistance(PerClipMetric):
    """Log-spectral distance as a metric, with unit, range and signature."""

    name = "lsd"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        Column(
            "lsd",
            "LSD",
            "dB",
            higher_is_better=False,
            lower=0,
            upper=float("inf"),
            definition="Log-spectral distance to the real speech.",
        ),
    )

    @property
    def signature(self) -> str:
        return common.signature("lsd:v1", f"frame:{FRAME}", f"hop:{HOP}", f"floor:{FLOOR:g}", aggregate="clip-mean")

    def score_clip(self, sample: Sample) -> Scores:
        audio, reference = common.aligned_pair(sample)  # fails a silent clip, or one of another length
        return Scores({"lsd": log_spectral_distance(audio, reference)})
