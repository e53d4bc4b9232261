"""Root mean square error of log energy contours in dB.

The energy of FastSpeech 2 (Ren et al., ICLR 2021): the norm of a frame's magnitudes, here at 100 Hz and in dB. The
level is not normalized: output 6 dB too soft has 6 dB of error. A second column removes the mean of each contour and
compares the shape alone. Frames below the floor (-100 dB, digital silence) count as the floor. Output with digital
silence between words therefore has an error where the reference has room noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.metrics import common
from f2v_bench.metrics.base import MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.signal.energy import FLOOR, energy_contour
from f2v_bench.signal.mel import HOP, N_FFT
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECIBELS = 20 / np.log(10)  # factor from the natural logarithm of a norm


def energy_db(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the energy contour in dB every 10 ms, ``(max(1, n // 160),)``, -100 or more.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``.
    """
    peak = max(1.0, float(np.abs(samples).max()))  # samples far beyond full scale overflow in float32
    contour = energy_contour((samples / peak).astype(np.float32), SAMPLE_RATE)
    decibels: NDArray[np.float64] = DECIBELS * (contour.astype(np.float64) + np.log(peak))
    return decibels


def energy_rmse(energy: NDArray[np.float64], reference: NDArray[np.float64], *, centered: bool = False) -> float:
    """Return the root mean square difference of two energy contours in dB.

    Args:
        energy: contour of the output in dB, ``(frames,)``.
        reference: contour of the real speech, of the same length.
        centered: True removes the mean of each contour first, so that gain has no effect.

    Raises:
        ValueError: unequal lengths, or no frames.
    """
    if len(energy) != len(reference) or not len(energy):
        raise ValueError(f"energy RMSE needs equal lengths, got {len(energy)} and {len(reference)} frames")
    difference = energy - reference
    return float(np.sqrt(np.mean((difference - difference.mean() if centered else difference) ** 2)))


class EnergyRMSE(PerClipMetric):
    """RMSE of log energy, with and without the difference in mean."""

    name = "energy_rmse"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        common.error_column(
            "energy_rmse", "Energy RMSE", "dB", "RMSE of log energy at 100 Hz, gain included, in place.", headline=True
        ),
        common.error_column(
            "energy_rmse_centered",
            "Energy RMSE, centered",
            "dB",
            "RMSE of log energy at 100 Hz, each contour's mean removed.",
            headline=False,
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        common.parse_settings(self.options, self.name, {})

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

    def score_clip(self, sample: Sample) -> Scores:
        audio, reference = common.aligned_pair(sample)
        energy, energy_ref = energy_db(audio), energy_db(reference)
        return Scores(
            {
                "energy_rmse": energy_rmse(energy, energy_ref),
                "energy_rmse_centered": energy_rmse(energy, energy_ref, centered=True),
            }
        )
