"""Mean absolute difference of log mel spectrograms, the training loss of most models of the field.

The log mel spectrograms (80 bins to 8 kHz, 100 Hz, natural log, floor 1e-5) of both waveforms are compared frame by
frame, in place. The value favors over-smoothed spectrograms, as models that minimize it produce them, and ignores
phase: it complements the other metrics and is no measure of quality. A second column removes the mean difference,
which is a change of gain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.metrics import common
from f2v_bench.metrics.base import MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.signal.mel import F_MAX, FLOOR, HOP, N_FFT, N_MELS, log_mel
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mel_distance(mel: NDArray[np.float32], reference: NDArray[np.float32], *, centered: bool = False) -> float:
    """Return the mean absolute difference of two natural-log mel spectrograms in nats.

    Args:
        mel: log mel spectrogram of the output, ``(frames, 80)``.
        reference: log mel spectrogram of the real speech, of the same shape.
        centered: True removes the mean difference over all frames and bins first.

    Raises:
        ValueError: unequal shapes, or no frames.
    """
    if mel.shape != reference.shape or not mel.size:
        raise ValueError(f"mel distance needs equal shapes, got {mel.shape} and {reference.shape}")
    difference = mel.astype(np.float64) - reference
    return float(np.abs(difference - difference.mean() if centered else difference).mean())


class MelDistance(PerClipMetric):
    """L1 distance of log mel spectrograms, with and without the difference in gain."""

    name = "mel_distance"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        common.error_column(
            "mel_l1", "Mel L1", "nat", "Mean absolute difference of log mels, in place.", headline=False
        ),
        common.error_column(
            "mel_l1_centered",
            "Mel L1, centered",
            "nat",
            "The same after the mean difference is removed.",
            headline=False,
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        common.parse_settings(self.options, self.name, {})

    @property
    def signature(self) -> str:
        return common.signature(
            "mel_distance:v1",
            f"mel:{N_MELS}-{F_MAX:g}Hz-stft-{N_FFT}-hop-{HOP}-ln",
            f"floor:{FLOOR:g}",
            "gain:as-is",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        mel, reference = (log_mel(samples, SAMPLE_RATE) for samples in common.aligned_pair(sample))
        return Scores(
            {
                "mel_l1": mel_distance(mel, reference),
                "mel_l1_centered": mel_distance(mel, reference, centered=True),
            }
        )
