"""Checks of a waveform: clipping, silence, DC, duration, level, and its offset in time against the real speech.

The checks find broken clips, and systems whose output is late or too loud, before other metrics turn such a fault into
a number that looks like quality. A silent or mistimed clip has values too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.metrics.energy_rmse import energy_db
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE = 0.999  # clipped from this absolute value on
FRAME = common.SILENCE_FRAME  # samples, 20 ms
ACTIVE_DB = 30.0  # frames within this distance of the loudest count as speech in the level
ENERGY_DB = 40.0  # energy contours are floored at this distance below their maximum: below is room noise
HOP_MS = 10.0  # frame period of the energy contour
MAX_OFFSET = 50  # frames of 10 ms
MIN_OVERLAP = 50  # frames: fewer do not distinguish offsets


def frame_levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the RMS of each 20 ms in dB of full scale, mean removed; -inf for zeros.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``; the last frame may be shorter than 20 ms.
    """
    centered = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    starts = np.arange(0, len(centered), FRAME)
    power = np.add.reduceat(centered**2, starts) / np.diff(np.append(starts, len(centered)))
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float64] = 10 * np.log10(power)
    return levels


def speech_level(levels: NDArray[np.float64]) -> float:
    """Return the mean power of the frames within 30 dB of the loudest, in dB of full scale.

    Args:
        levels: frame levels of ``frame_levels``, at least one finite.
    """
    active = levels[levels >= levels.max() - ACTIVE_DB]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def find_offset(energy: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the offset of the output in time, from the correlation of energy contours.

    Pearson correlation of the overlapping frames at each lag within 500 ms; a parabola through the best lag and the
    two next to it refines the offset below the frame period of 10 ms.

    Args:
        energy: energy contour of the output in dB, every 10 ms, ``(frames,)``.
        reference: energy contour of the real speech; the lengths may differ.

    Returns:
        Offset in milliseconds (positive: the output lags) and the correlation there, or None where at no lag half a
        second of two contours that vary overlaps.
    """
    contour, contour_ref = (np.maximum(one, one.max() - ENERGY_DB) for one in (energy, reference))
    lags = range(-MAX_OFFSET, MAX_OFFSET + 1)
    correlations = np.array([_correlation(contour[max(0, lag) :], contour_ref[max(0, -lag) :]) for lag in lags])
    if not np.isfinite(correlations).any():
        return None
    best = int(np.nanargmax(correlations))
    return (lags[best] + _parabola_peak(correlations, best)) * HOP_MS, float(correlations[best])


def _correlation(energy: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    frames = min(len(energy), len(reference))
    if frames < MIN_OVERLAP:
        return float("nan")
    left, right = (one[:frames] - one[:frames].mean() for one in (energy, reference))
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm > 1e-9 else float("nan")


def _parabola_peak(values: NDArray[np.float64], best: int) -> float:
    """Return the peak of the parabola through a maximum and the values next to it, in [-0.5, 0.5]; 0 at an edge."""
    if not 0 < best < len(values) - 1:
        return 0.0
    left, center, right = values[best - 1 : best + 2]
    curvature = left - 2 * center + right
    return float(np.clip((left - right) / (2 * curvature), -0.5, 0.5)) if curvature < 0 else 0.0


def _column(
    name: str,
    label: str,
    unit: str,
    definition: str,
    *,
    higher_is_better: bool | None = None,
    limits: tuple[float, float],
    scale: float = 1.0,
    digits: int = 1,
    headline: bool = False,
) -> Column:
    return Column(
        f"health_{name}",
        label,
        unit,
        higher_is_better=higher_is_better,
        lower=limits[0],
        upper=limits[1],
        scale=scale,
        digits=digits,
        headline=headline,
        definition=definition,
    )


_INF = float("inf")
_COMPARED_COLUMNS = ("health_offset", "health_correlation", "health_loudness")


class SignalChecks(PerClipMetric):
    """Faults of a waveform apart from its content, at 16 kHz, in place."""

    name = "health"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        _column(
            "clipping",
            "Clipped",
            "%",
            "Samples at 0.999 of full scale or above.",
            higher_is_better=False,
            limits=(0, 1),
            scale=100,
            digits=2,
        ),
        _column(
            "silence", "Silent", "%", "Frames of 20 ms below -60 dBFS RMS, mean removed.", limits=(0, 1), scale=100
        ),
        _column("dc", "DC", "", "Mean of the samples, of full scale; 0 is right.", limits=(-_INF, _INF), digits=4),
        _column(
            "duration",
            "Duration diff.",
            "s",
            "Duration minus that of the real speech; 0 is right.",
            limits=(-_INF, _INF),
            digits=3,
        ),
        _column(
            "offset",
            "A/V offset",
            "ms",
            "How much later than the real speech, by the correlation of energy within 500 ms; 0 is right.",
            limits=(-(MAX_OFFSET + 0.5) * HOP_MS, (MAX_OFFSET + 0.5) * HOP_MS),
            headline=True,
        ),
        _column(
            "correlation",
            "Energy corr.",
            "",
            "Correlation of log energy with the real speech at the offset.",
            higher_is_better=True,
            limits=(-1, 1),
            digits=3,
        ),
        _column(
            "loudness",
            "Level diff.",
            "dB",
            "Level of speech minus that of the real speech; 0 is right.",
            limits=(-_INF, _INF),
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        common.parse_settings(self.options, self.name, {})

    @property
    def signature(self) -> str:
        return common.signature(
            "health:v1",
            f"clipped:{FULL_SCALE:g}",
            f"offset:energy-{HOP_MS:g}ms-{ENERGY_DB:g}dB-pearson-{MAX_OFFSET * HOP_MS:g}ms",
            f"level:{FRAME * 1000 // SAMPLE_RATE}ms-{ACTIVE_DB:g}dB",
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        audio, reference = sample.audio, common.require_reference(sample)
        samples = audio.samples
        levels, reference_levels = frame_levels(samples), frame_levels(reference.samples)
        values = {
            "health_clipping": float(np.mean(np.abs(samples) >= FULL_SCALE)),
            "health_silence": float(np.mean(levels < common.SILENCE_DBFS)),
            "health_dc": float(samples.mean(dtype=np.float64)),
            "health_duration": audio.duration_s - reference.duration_s,
        }
        if min(levels.max(), reference_levels.max()) < common.SILENCE_DBFS:
            return Scores(values, undefined=dict.fromkeys(_COMPARED_COLUMNS, FailureKind.SILENT))
        values["health_loudness"] = speech_level(levels) - speech_level(reference_levels)
        offset = find_offset(energy_db(samples), energy_db(reference.samples))
        if offset is None:
            return Scores(values, undefined=dict.fromkeys(_COMPARED_COLUMNS[:2], FailureKind.TOO_SHORT))
        values["health_offset"], values["health_correlation"] = offset
        return Scores(values)
