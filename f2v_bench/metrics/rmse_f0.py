"""RMSE of the fundamental frequency, gross pitch error and voicing errors, protocol ``f0/v1``.

Output and reference share the clock of the video, so frames are compared in place, without DTW. Contours are computed
from each full waveform and then cut to the shorter; the definitions of gross pitch error, voicing decision error and
F0 frame error are those of Chu and Alwan, "Reducing F0 frame error of F0 tracking algorithms under noisy conditions
with an unvoiced/voiced classification frontend" (ICASSP 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import Aggregate, Column, MetricOptions, Need, PerClipMetric, Sample, Scores
from f2v_bench.metrics.f0_presets import CACHE_SIZE, PRESETS, Contours, F0Preset
from f2v_bench.metrics.lru import LRUCache
from f2v_bench.signal.f0 import f0_contour, f0_protocol
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROSS_ERROR = 0.2  # share of the reference F0
CONTOUR_CACHE_SIZE = 4096  # about 1 KB each: the references of a test list, once for all systems


@dataclass(frozen=True, slots=True)
class PitchErrors:
    """Differences of two F0 contours where both are voiced.

    Attributes:
        rmse_hz: root mean square difference.
        rmse_cents: root mean square of ``1200 * log2(f0 / reference)``.
        median_hz: median absolute difference, robust to octave errors.
        gross: number of frames more than 20 % off the reference.
        frames: number of co-voiced frames, at least one.
    """

    rmse_hz: float
    rmse_cents: float
    median_hz: float
    gross: int
    frames: int


@dataclass(frozen=True, slots=True)
class F0Errors:
    """Differences of two F0 contours.

    Attributes:
        pitch: errors over co-voiced frames, or None without any.
        voicing: number of frames that are voiced in one contour only.
        frames: number of compared frames, at least one.
    """

    pitch: PitchErrors | None
    voicing: int
    frames: int


def f0_errors(f0: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> F0Errors:
    """Compare two F0 contours on one frame grid.

    Args:
        f0: F0 of the output in Hz, ``(frames,)``, 0 where unvoiced.
        reference: F0 of the real speech in the same form; the longer of the two is cut.

    Raises:
        ValueError: a contour without frames.
    """
    frames = min(len(f0), len(reference))
    if not frames:
        raise ValueError("two F0 contours need at least one frame each")
    f0, reference = f0[:frames].astype(np.float64), reference[:frames].astype(np.float64)
    covoiced = (f0 > 0) & (reference > 0)
    voicing = int(np.count_nonzero((f0 > 0) != (reference > 0)))
    return F0Errors(_pitch_errors(f0[covoiced], reference[covoiced]) if covoiced.any() else None, voicing, frames)


def _pitch_errors(f0: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> PitchErrors:
    difference = f0 - reference
    cents = 1200 * np.log2(f0 / reference)
    return PitchErrors(
        rmse_hz=float(np.sqrt(np.mean(difference**2))),
        rmse_cents=float(np.sqrt(np.mean(cents**2))),
        median_hz=float(np.median(np.abs(difference))),
        gross=int(np.count_nonzero(np.abs(difference) > GROSS_ERROR * reference)),
        frames=len(reference),
    )


_PITCH_COLUMNS = ("rmse_f0", "rmse_f0_pooled", "f0_median", "f0_cents", "gpe")


class RMSEF0(PerClipMetric):
    """RMSE-F0 in Hz over co-voiced frames, and the columns needed to interpret it.

    Setting ``preset``: ``f2v`` (default), or ``espnet-logf0-dtw``, ``versa`` or ``amphion``, which reproduce the values
    of other tools under their own columns and signatures (see ``f0_presets``); ``amphion`` needs the package
    praat-parselmouth.
    """

    name = "rmse_f0"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns: tuple[Column, ...] = (
        Column(
            "rmse_f0",
            "RMSE-F0",
            "Hz",
            higher_is_better=False,
            lower=0,
            upper=435,
            definition="RMSE of F0 over frames voiced in both, per clip; mean over clips.",
        ),
        Column(
            "rmse_f0_pooled",
            "RMSE-F0 pooled",
            "Hz",
            higher_is_better=False,
            lower=0,
            upper=435,
            aggregate=Aggregate.RMS,
            headline=False,
            definition="RMSE of F0 over the co-voiced frames of all clips together.",
        ),
        Column(
            "f0_median",
            "F0 error, median",
            "Hz",
            higher_is_better=False,
            lower=0,
            upper=435,
            headline=False,
            definition="Median distance of F0 over co-voiced frames, robust to octave errors; mean over clips.",
        ),
        Column(
            "f0_cents",
            "RMSE-F0",
            "cents",
            higher_is_better=False,
            lower=0,
            upper=3533,
            digits=1,
            headline=False,
            definition="RMSE of 1200 log2(F0 / reference F0) over co-voiced frames, per clip; mean over clips.",
        ),
        Column(
            "gpe",
            "GPE",
            "%",
            higher_is_better=False,
            lower=0,
            upper=1,
            scale=100,
            digits=1,
            headline=False,
            definition="Gross pitch error: co-voiced frames more than 20 % off the reference's F0.",
        ),
        Column(
            "vde",
            "VDE",
            "%",
            higher_is_better=False,
            lower=0,
            upper=1,
            scale=100,
            digits=1,
            headline=False,
            definition="Voicing decision error: frames voiced in one and unvoiced in the other.",
        ),
        Column(
            "ffe",
            "FFE",
            "%",
            higher_is_better=False,
            lower=0,
            upper=1,
            scale=100,
            digits=1,
            headline=False,
            definition="F0 frame error: frames with a voicing decision error or a gross pitch error.",
        ),
        Column(
            "covoiced",
            "Co-voiced",
            "%",
            higher_is_better=None,
            lower=0,
            upper=1,
            scale=100,
            digits=1,
            headline=False,
            definition="Share of all frames that are voiced in both, over which RMSE-F0, cents and GPE are computed.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        preset = common.parse_settings(self.options, self.name, {"preset": ("f2v", *PRESETS)})["preset"]
        self._preset = PRESETS.get(preset)
        if self._preset:
            self._preset.require_packages(self.name, preset)
            self.columns = self._preset.columns
        self._contours: LRUCache[Contours] = LRUCache(CACHE_SIZE if self._preset else CONTOUR_CACHE_SIZE)

    @property
    def signature(self) -> str:
        if self._preset:
            return common.signature(*self._preset.signature, packages=self._preset.packages, aggregate="clip-mean")
        return common.signature(
            "rmse_f0:v1",
            f0_protocol(),
            "frames:co-voiced",
            "dtw:no",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
            f"gross:{GROSS_ERROR:g}",
            aggregate="clip-mean",
        )

    def score_clip(self, sample: Sample) -> Scores:
        return self._score_by_preset(self._preset, sample) if self._preset else self._score_by_default(sample)

    def _score_by_preset(self, preset: F0Preset, sample: Sample) -> Scores:
        reference = common.require_reference(sample)
        common.require_sound(sample.audio.samples, "audio")
        common.require_sound(reference.samples, "reference")
        contours = [self._contours.get(waveform, preset.analyze) for waveform in (sample.audio, reference)]
        return preset.compare(*contours)

    def _score_by_default(self, sample: Sample) -> Scores:
        common.aligned_pair(sample)  # checks only: the contours are those of the full waveforms
        errors = f0_errors(self._contour(sample.audio), self._contour(common.require_reference(sample)))
        pitch, frames = errors.pitch, errors.frames
        detail = {"frames": frames, "covoiced_frames": pitch.frames if pitch else 0}
        voicing = errors.voicing / frames
        if pitch is None:
            return Scores(
                {"vde": voicing, "ffe": voicing, "covoiced": 0.0},
                undefined=dict.fromkeys(_PITCH_COLUMNS, FailureKind.NO_VOICED_OVERLAP),
                detail=detail,
            )
        values = {
            "rmse_f0": pitch.rmse_hz,
            "rmse_f0_pooled": pitch.rmse_hz,
            "f0_median": pitch.median_hz,
            "f0_cents": pitch.rmse_cents,
            "gpe": pitch.gross / pitch.frames,
            "vde": voicing,
            "ffe": (errors.voicing + pitch.gross) / frames,
            "covoiced": pitch.frames / frames,
        }
        return Scores(values, weights={"rmse_f0_pooled": float(pitch.frames)}, detail=detail)

    def _contour(self, waveform: Waveform) -> NDArray[np.floating[Any]]:
        """Return the F0 contour; equal audio is analyzed once, whichever clip or system it comes from."""
        return self._contours.get(waveform, lambda wave: {"f0": f0_contour(wave.samples, wave.sample_rate)[0]})["f0"]
