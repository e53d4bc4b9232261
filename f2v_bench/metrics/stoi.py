"""STOI and ESTOI: short-time objective intelligibility against the real speech, computed by ``pystoi``.

Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted noisy speech" (TASLP 2011);
Jensen and Taal, "An algorithm for predicting the intelligibility of speech masked by modulated noise maskers"
(TASLP 2016). Both decrease fast with a shift in time (identical audio 40 ms late: STOI 0.32), so an alignment search
is available under its own signature.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTINEL = 1e-5  # value that pystoi returns, with a warning, where fewer than 30 frames remain without silence
MIN_SAMPLES = 512  # more than one 256-sample frame at 10 kHz: below, pystoi raises instead of returning the sentinel
MAX_SHIFT = 3200  # samples, 200 ms


def stoi(audio: NDArray[np.float32], reference: NDArray[np.float32], *, extended: bool = False) -> float:
    """Return the short-time objective intelligibility.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech, of the same length.
        extended: True for ESTOI instead of STOI.

    Returns:
        Correlation, at most 1; values for speech lie between 0 and 1.

    Raises:
        ClipFailure: ``too_short`` where fewer than 30 frames (384 ms) within 40 dB of the loudest remain.
        ValueError: unequal lengths.
    """
    import pystoi

    if len(audio) != len(reference):
        raise ValueError(f"STOI needs equal lengths, got {len(audio)} and {len(reference)} samples")
    value = SENTINEL
    if len(audio) >= MIN_SAMPLES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Not enough STFT frames", category=RuntimeWarning)
            value = float(pystoi.stoi(reference, audio, SAMPLE_RATE, extended=extended))
    if value == SENTINEL:
        raise ClipFailure(FailureKind.TOO_SHORT, "fewer than 30 frames (384 ms) of the reference are not silent")
    return round(value, 9)  # ESTOI adds random numbers of about 1e-16 against divisions by zero


def best_shift(audio: NDArray[np.float32], reference: NDArray[np.float32]) -> int:
    """Return the lag of the audio in samples that maximizes the cross-correlation, within 200 ms.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech at 16 kHz, float32.
    """
    from scipy.signal import correlate, correlation_lags

    correlation = correlate(audio, reference, method="fft")
    lags = correlation_lags(len(audio), len(reference))
    allowed = np.abs(lags) <= MAX_SHIFT
    return int(lags[allowed][np.argmax(correlation[allowed])])


class STOI(PerClipMetric):
    """STOI and ESTOI.

    Setting ``align``: ``none`` (default) compares in place; ``xcorr`` first removes the lag within 200 ms that
    maximizes the cross-correlation, and reports it in the detail.
    """

    name = "stoi"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        Column(
            "stoi",
            "STOI",
            "",
            higher_is_better=True,
            lower=-1,
            upper=1,
            digits=3,
            definition="Short-time objective intelligibility: mean correlation of third-octave envelopes over 384 ms.",
        ),
        Column(
            "estoi",
            "ESTOI",
            "",
            higher_is_better=True,
            lower=-1,
            upper=1,
            digits=3,
            definition="Extended STOI: spectral correlation of normalized third-octave envelopes over 384 ms.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        self._align = common.parse_settings(self.options, self.name, {"align": ("none", "xcorr")})["align"]

    @property
    def signature(self) -> str:
        return common.signature(
            "stoi:v1",
            "rate:16000",
            "align:none" if self._align == "none" else f"align:xcorr-{MAX_SHIFT * 1000 // SAMPLE_RATE}ms",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
            packages=("pystoi",),
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        audio, reference = common.aligned_pair(sample)
        detail: dict[str, str | float | int | bool] = {}
        if self._align == "xcorr":
            shift = best_shift(audio, reference)
            length = len(audio) - abs(shift)
            audio, reference = audio[max(0, shift) :][:length], reference[max(0, -shift) :][:length]
            detail["lag_ms"] = shift * 1000 / SAMPLE_RATE
        values = {"stoi": stoi(audio, reference), "estoi": stoi(audio, reference, extended=True)}
        return Scores(values, detail=detail)
