"""RMSE of log energy contours in dB: whether speech is loud and soft where it should be.

The energy of FastSpeech 2 (Ren et al., ICLR 2021): the norm of a frame's magnitudes, here at 100 Hz and in dB. The
level counts as it is: output 6 dB too soft has 6 dB of error. A second column removes each contour's mean and sees the
shape alone. Frames below the floor (-100 dB, digital silence) count as the floor, so that output which is truly
silent between words pays for the room's noise in the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Metric, MetricOptions, Need, Sample, Scores
from f2v_bench.signal.energy import FLOOR, energy_contour
from f2v_bench.signal.mel import HOP, N_FFT
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECIBELS = 20 / np.log(10)  # of the natural logarithm of a norm


def energy_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Energy of float32 ``(n,)`` at 16 kHz in dB every 10 ms, ``(n // 160,)`` and at least one, -100 or more."""
    peak = max(1.0, float(np.abs(samples).max()))  # samples far beyond full scale would overflow in float32
    contour = energy_contour((samples / peak).astype(np.float32), SAMPLE_RATE)
    decibels: NDArray[np.float64] = DECIBELS * (contour.astype(np.float64) + np.log(peak))
    return decibels


def energy_rmse(energy: NDArray[np.float64], reference: NDArray[np.float64], *, centred: bool = False) -> float:
    """Root mean square difference of two energy contours in dB.

    Args:
        energy: ``(frames,)`` in dB.
        reference: of the real speech, of the same length.
        centred: whether each contour's mean is removed first, which makes the value blind to gain.

    Raises:
        ValueError: unequal lengths, or no frames.
    """
    if len(energy) != len(reference) or not len(energy):
        raise ValueError(f"energy RMSE needs equal lengths, got {len(energy)} and {len(reference)} frames")
    difference = energy - reference
    return float(np.sqrt(np.mean((difference - difference.mean() if centred else difference) ** 2)))


class EnergyRMSE(Metric):
    """RMSE of log energy, as it is and about the mean."""

    name = "energy_rmse"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        common.error_column(
            "energy_rmse", "Energy RMSE", "dB", "RMSE of log energy at 100 Hz, gain included, in place.", headline=True
        ),
        common.error_column(
            "energy_rmse_centred",
            "Energy RMSE, centred",
            "dB",
            "RMSE of log energy at 100 Hz, each contour's mean removed.",
            headline=False,
        ),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        common.parse_settings(options, self.name, {})

    @property
    def signature(self) -> str:
        return common.signature(
            "energy_rmse:v1",
            f"energy:stft-{N_FFT}-hop-{HOP}-norm",
            f"floor:{20 * np.log10(FLOOR):g}dB",
            "gain:as-is",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.per_clip(batch, _score_one)


def _score_one(sample: Sample) -> Scores:
    audio, reference = common.aligned_pair(sample)
    energy, real = energy_db(audio), energy_db(reference)
    return Scores(
        {"energy_rmse": energy_rmse(energy, real), "energy_rmse_centred": energy_rmse(energy, real, centred=True)}
    )
