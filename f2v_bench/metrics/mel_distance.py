"""Mean absolute difference of log mel spectrograms: what most models of the field minimise, on the audio they make.

The suite's mel (80 bins to 8 kHz, 100 Hz, natural log, floor 1e-5) of both waveforms, frame by frame on the video's
clock. It rewards means of several readings, as models that minimise it produce them, and sees no phase: a companion of
the others, no measure of quality. A second column removes the mean difference, which is a change of gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Metric, MetricOptions, Need, Sample, Scores
from f2v_bench.signal.mel import F_MAX, FLOOR, HOP, N_FFT, N_MELS, log_mel
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mel_distance(mel: NDArray[np.float32], reference: NDArray[np.float32], *, centred: bool = False) -> float:
    """Mean absolute difference of two natural-log mels in nats.

    Args:
        mel: ``(frames, 80)``.
        reference: of the real speech, of the same shape.
        centred: whether the mean difference over all frames and bins is removed first.

    Raises:
        ValueError: unequal shapes, or no frames.
    """
    if mel.shape != reference.shape or not mel.size:
        raise ValueError(f"mel distance needs equal shapes, got {mel.shape} and {reference.shape}")
    difference = mel.astype(np.float64) - reference
    return float(np.abs(difference - difference.mean() if centred else difference).mean())


class MelDistance(Metric):
    """L1 of log mels, as it is and with the gain removed."""

    name = "mel_distance"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        common.error_column(
            "mel_l1", "Mel L1", "nat", "Mean absolute difference of log mels, in place.", headline=False
        ),
        common.error_column(
            "mel_l1_centred", "Mel L1, centred", "nat", "The same after the mean difference is removed.", headline=False
        ),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        common.parse_settings(options, self.name, {})

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

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.per_clip(batch, _score_one)


def _score_one(sample: Sample) -> Scores:
    ours, real = (log_mel(samples, SAMPLE_RATE) for samples in common.aligned_pair(sample))
    return Scores({"mel_l1": mel_distance(ours, real), "mel_l1_centred": mel_distance(ours, real, centred=True)})
