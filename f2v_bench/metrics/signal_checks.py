"""Health of a waveform: clipping, silence, DC, duration, level, and its offset in time against the real speech.

Checks rather than scores: they find the clip that is broken, and the system whose output comes late or too loud, before
other metrics turn that into a number which looks like quality. A silent or mistimed clip has health values too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Column, Metric, MetricOptions, Need, Sample, Scores
from f2v_bench.metrics.energy_rmse import energy_db
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE = 0.999  # what is as loud or louder counts as clipped
FRAME = common.SILENCE_FRAME  # samples, 20 ms
ACTIVE_DB = 30.0  # frames this near to the loudest are speech, as far as the level is concerned
ENERGY_DB = 40.0  # energy contours are compared this far down: below lies the room
HOP_MS = 10.0  # of the energy contour
MAX_OFFSET = 50  # frames of 10 ms
MIN_OVERLAP = 50  # frames: less cannot tell one offset from another


def frame_levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """RMS of each 20 ms of float32 ``(n,)`` at 16 kHz, mean removed, in dB of full scale; -inf where all is 0.

    The last frame may be shorter: its level is that of the samples it has.
    """
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    starts = np.arange(0, len(centred), FRAME)
    power = np.add.reduceat(centred**2, starts) / np.diff(np.append(starts, len(centred)))
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float64] = 10 * np.log10(power)
    return levels


def speech_level(levels: NDArray[np.float64]) -> float:
    """Mean power of the frames within 30 dB of the loudest, in dB of full scale.

    Args:
        levels: from ``frame_levels``, with one that is not -inf.
    """
    active = levels[levels >= levels.max() - ACTIVE_DB]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def offset(energy: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float] | None:
    """How much later the output is, by the correlation of energy contours.

    Pearson's correlation of the overlapping frames at every lag within 500 ms; a parabola through the best lag and its
    neighbours refines it below the contour's 10 ms.

    Args:
        energy: of the output, ``(frames,)`` in dB, every 10 ms.
        reference: of the real speech, likewise; the lengths may differ.

    Returns:
        Milliseconds (positive: the output lags) and the correlation there, or None where at no lag half a second of
        two contours that move overlaps.
    """
    ours, real = (np.maximum(contour, contour.max() - ENERGY_DB) for contour in (energy, reference))
    lags = range(-MAX_OFFSET, MAX_OFFSET + 1)
    found = np.array([_correlation(ours[max(0, lag) :], real[max(0, -lag) :]) for lag in lags])
    if not np.isfinite(found).any():
        return None
    best = int(np.nanargmax(found))
    return (lags[best] + _vertex(found, best)) * HOP_MS, float(found[best])


def _correlation(ours: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    frames = min(len(ours), len(real))
    if frames < MIN_OVERLAP:
        return float("nan")
    left, right = ours[:frames] - ours[:frames].mean(), real[:frames] - real[:frames].mean()
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / norm if norm > 1e-9 else float("nan")


def _vertex(values: NDArray[np.float64], best: int) -> float:
    """Where the parabola through a maximum and its neighbours peaks, in [-0.5, 0.5] steps from it; 0 at an edge."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, at, after = values[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _column(
    name: str,
    label: str,
    unit: str,
    definition: str,
    *,
    better: bool | None = None,
    span: tuple[float, float],
    scale: float = 1.0,
    digits: int = 1,
    headline: bool = False,
) -> Column:
    return Column(
        f"health_{name}",
        label,
        unit,
        higher_is_better=better,
        lower=span[0],
        upper=span[1],
        scale=scale,
        digits=digits,
        headline=headline,
        definition=definition,
    )


_INF = float("inf")
_AGAINST_SPEECH = ("health_offset", "health_correlation", "health_loudness")


class SignalChecks(Metric):
    """What may be wrong with a waveform apart from what it says; all at 16 kHz, in place."""

    name = "health"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (
        _column(
            "clipping",
            "Clipped",
            "%",
            "Samples at 0.999 of full scale or beyond.",
            better=False,
            span=(0, 1),
            scale=100,
            digits=2,
        ),
        _column("silence", "Silent", "%", "Frames of 20 ms below -60 dBFS RMS, mean removed.", span=(0, 1), scale=100),
        _column("dc", "DC", "", "Mean of the samples, of full scale; 0 is right.", span=(-_INF, _INF), digits=4),
        _column(
            "duration",
            "Duration diff.",
            "s",
            "Duration minus that of the real speech; 0 is right.",
            span=(-_INF, _INF),
            digits=3,
        ),
        _column(
            "offset",
            "A/V offset",
            "ms",
            "How much later than the real speech, by the correlation of energy within 500 ms; 0 is right.",
            span=(-(MAX_OFFSET + 0.5) * HOP_MS, (MAX_OFFSET + 0.5) * HOP_MS),
            headline=True,
        ),
        _column(
            "correlation",
            "Energy corr.",
            "",
            "Correlation of log energy with the real speech at the offset.",
            better=True,
            span=(-1, 1),
            digits=3,
        ),
        _column(
            "loudness",
            "Level diff.",
            "dB",
            "Level of speech minus that of the real speech; 0 is right.",
            span=(-_INF, _INF),
        ),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        common.parse_settings(options, self.name, {})

    @property
    def signature(self) -> str:
        return common.signature(
            "health:v1",
            f"clipped:{FULL_SCALE:g}",
            f"offset:energy-{HOP_MS:g}ms-{ENERGY_DB:g}dB-pearson-{MAX_OFFSET * HOP_MS:g}ms",
            f"level:{FRAME * 1000 // SAMPLE_RATE}ms-{ACTIVE_DB:g}dB",
            aggregate="clip-mean",
        )

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        return common.per_clip(batch, _score_one)


def _score_one(sample: Sample) -> Scores:
    audio, reference = sample.audio, common.require_reference(sample)
    samples = audio.samples
    levels, real_levels = frame_levels(samples), frame_levels(reference.samples)
    values = {
        "health_clipping": float(np.mean(np.abs(samples) >= FULL_SCALE)),
        "health_silence": float(np.mean(levels < common.SILENCE_DBFS)),
        "health_dc": float(samples.mean(dtype=np.float64)),
        "health_duration": audio.duration_s - reference.duration_s,
    }
    if min(levels.max(), real_levels.max()) < common.SILENCE_DBFS:
        return Scores(values, undefined=dict.fromkeys(_AGAINST_SPEECH, FailureKind.SILENT))
    values["health_loudness"] = speech_level(levels) - speech_level(real_levels)
    found = offset(energy_db(samples), energy_db(reference.samples))
    if found is None:
        return Scores(values, undefined=dict.fromkeys(_AGAINST_SPEECH[:2], FailureKind.TOO_SHORT))
    values["health_offset"], values["health_correlation"] = found
    return Scores(values)
