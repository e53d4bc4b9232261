"""Presets of ``rmse_f0`` that reproduce the RMSE-F0 of other tools.

The recipes follow the public sources of the tools. All three run at 16 kHz here, with the silence threshold of this
benchmark.

* ``espnet-logf0-dtw``: ``evaluate_f0.py``. Natural logarithm, Harvest, frames of 16 ms, both voiced after warping.
* ``versa``: ``mcd_f0`` without warping, its default. Hz over *all* frames, unvoiced frames at 0 Hz.
* ``amphion``: ``f0_rmse.py`` with its defaults. Praat's autocorrelation, voiced frames of each side only, in cents
  about their own median, warped on the contour itself: the error that remains after a shift in pitch and in time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import mcep, versa
from f2v_bench.metrics.base import Column, MetricUnavailable, Scores
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

ESPNET_F0 = (40.0, 800.0)  # Hz
ESPNET_HOP = 256  # samples, 16 ms
ESPNET_ORDER, ESPNET_ALPHA = 23, 0.42
AMPHION_F0 = (50.0, 1100.0)  # Hz
AMPHION_HOP = 256
AMPHION_VOICING = 0.6  # Praat's voicing threshold

CACHE_SIZE = 1024  # contours with mel-cepstra: about 40 KB each

Contours = dict[str, "NDArray[np.floating[Any]]"]


@dataclass(frozen=True, slots=True)
class F0Preset:
    """Recipe of another tool.

    Attributes:
        columns: columns of the recipe.
        analyze: function from a waveform at 16 kHz to the contours for ``compare``.
        compare: function from the contours of output and reference to scores.
        signature: parts of the signature.
        packages: packages whose versions belong to the signature.
        needs: module to installation command, for optional packages.
    """

    columns: tuple[Column, ...]
    analyze: Callable[[Waveform], Contours]
    compare: Callable[[Contours, Contours], Scores]
    signature: tuple[str, ...]
    packages: tuple[str, ...]
    needs: Mapping[str, str] = field(default_factory=dict)

    def require_packages(self, metric: str, preset: str) -> None:
        """Raise MetricUnavailable where a package is missing."""
        for module, install in self.needs.items():
            if find_spec(module) is None:
                raise MetricUnavailable(metric, f"the preset '{preset}' needs {module}", f"Install it: {install}")


def _rms(difference: NDArray[np.floating[Any]]) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _no_overlap(detail: str) -> ClipFailure:
    return ClipFailure(FailureKind.NO_VOICED_OVERLAP, detail)


def _espnet_contours(waveform: Waveform) -> Contours:
    samples = mcep.as_int16(waveform.samples)
    f0, times = mcep.harvest(samples, *ESPNET_F0, 1000 * ESPNET_HOP / SAMPLE_RATE)
    mel = mcep.mel_cepstrum(mcep.envelope(samples, f0, times), ESPNET_ORDER, ESPNET_ALPHA)
    return {"f0": f0, "mel": mel}


def espnet_log_f0_rmse(contours: Contours, reference: Contours) -> Scores:
    """Return the RMSE of ln F0 over frame pairs that are voiced on both sides, warped on mel-cepstra.

    Args:
        contours: ``f0`` and ``mel`` of the output.
        reference: ``f0`` and ``mel`` of the real speech.

    Raises:
        ClipFailure: ``no_voiced_overlap``, or ``too_long`` to be warped.
    """
    index, index_ref = mcep.dtw_path(contours["mel"], reference["mel"])
    f0, f0_ref = contours["f0"][index], reference["f0"][index_ref]
    covoiced = (f0 > 0) & (f0_ref > 0)
    if not covoiced.any():
        raise _no_overlap("no pair of warped frames is voiced on both sides")
    return Scores(
        {"log_f0_rmse_espnet": _rms(np.log(f0[covoiced]) - np.log(f0_ref[covoiced]))},
        detail={"pairs": len(covoiced), "covoiced_pairs": int(covoiced.sum())},
    )


def _versa_contours(waveform: Waveform) -> Contours:
    return {"f0": versa.f0_contour(waveform)}


def versa_f0(contours: Contours, reference: Contours) -> Scores:
    """Return the RMSE in Hz and the Pearson correlation of F0 over all frames, unvoiced frames at 0 Hz.

    Args:
        contours: ``f0`` of the output.
        reference: ``f0`` of the real speech.

    Raises:
        ClipFailure: ``duration_mismatch``.
    """
    from scipy.stats import ConstantInputWarning, pearsonr

    f0, f0_ref = versa.cut_to_shorter(contours["f0"], reference["f0"])
    values = {"f0_rmse_versa": _rms(f0 - f0_ref)}
    detail = {"frames": len(f0), "covoiced_frames": int(np.count_nonzero((f0 > 0) & (f0_ref > 0)))}
    if np.ptp(f0) == 0 or np.ptp(f0_ref) == 0:  # no voiced frame on one side: the correlation is undefined
        return Scores(values, undefined={"f0_corr_versa": FailureKind.NO_VOICED_OVERLAP}, detail=detail)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConstantInputWarning)
        values["f0_corr_versa"] = float(pearsonr(f0, f0_ref).statistic)
    return Scores(values, detail=detail)


def _amphion_contours(waveform: Waveform) -> Contours:
    praat = mcep.import_quietly("parselmouth")
    pitch = praat.Sound(waveform.samples.astype(np.float64), SAMPLE_RATE).to_pitch_ac(
        time_step=AMPHION_HOP / SAMPLE_RATE,
        voicing_threshold=AMPHION_VOICING,
        pitch_floor=AMPHION_F0[0],
        pitch_ceiling=AMPHION_F0[1],
    )
    return {"f0": np.asarray(pitch.selected_array["frequency"], np.float64)}


def amphion_f0_rmse(contours: Contours, reference: Contours) -> Scores:
    """Return the RMSE in cents of the voiced frames of each side about their median, warped on the contours.

    Args:
        contours: ``f0`` of the output.
        reference: ``f0`` of the real speech.

    Raises:
        ClipFailure: ``no_voiced_overlap`` where a side has fewer than two voiced frames (Amphion returns 0, perfect),
            or ``too_long`` to be warped.
    """
    centered: list[NDArray[np.floating[Any]]] = []
    for side, name in ((contours, "audio"), (reference, "reference")):
        voiced = side["f0"][side["f0"] > 0]
        if len(voiced) < 2:
            raise _no_overlap(f"the {name} has {len(voiced)} voiced frames")
        cents = 1200 * np.log2(voiced / 440)
        centered.append(cents - np.median(cents))
    index_ref, index = mcep.dtw_path(centered[1][:, None], centered[0][:, None])
    return Scores(
        {"f0_rmse_amphion": _rms(centered[0][index] - centered[1][index_ref])},
        detail={"voiced_frames": len(centered[0]), "reference_voiced_frames": len(centered[1])},
    )


def _error(name: str, label: str, unit: str, upper: float, definition: str, digits: int = 2) -> Column:
    return Column(name, label, unit, higher_is_better=False, lower=0, upper=upper, digits=digits, definition=definition)


PRESETS = {
    "espnet-logf0-dtw": F0Preset(
        (
            _error(
                "log_f0_rmse_espnet",
                "log-F0 RMSE (ESPnet)",
                "ln Hz",
                float(np.log(ESPNET_F0[1] / ESPNET_F0[0])),
                "RMSE of ln F0 as ESPnet's script: Harvest, warped, frames voiced in both.",
                digits=3,
            ),
        ),
        _espnet_contours,
        espnet_log_f0_rmse,
        (
            "rmse_f0:espnet-logf0-dtw",
            f"f0:harvest-{ESPNET_F0[0]:g}-{ESPNET_F0[1]:g}Hz/hop-{ESPNET_HOP}",
            "scale:int16",
            f"warp:exact-dtw/mcep-{ESPNET_ORDER}-{ESPNET_ALPHA}-c0-in/cheaptrick-{mcep.FFT_SIZE}",
            "frames:co-voiced",
            "mismatch:any",
        ),
        ("pyworld", "librosa"),
    ),
    "versa": F0Preset(
        (
            _error(
                "f0_rmse_versa",
                "F0 RMSE (VERSA)",
                "Hz",
                versa.F0_MAX,
                "RMSE of F0 as VERSA's mcd_f0: Harvest, all frames in place, unvoiced at 0 Hz.",
            ),
            Column(
                "f0_corr_versa",
                "F0 corr. (VERSA)",
                "",
                higher_is_better=True,
                lower=-1,
                upper=1,
                digits=3,
                headline=False,
                definition="Pearson correlation of F0 as VERSA's mcd_f0: all frames, unvoiced at 0 Hz.",
            ),
        ),
        _versa_contours,
        versa_f0,
        ("rmse_f0:versa", *versa.SIGNATURE, "frames:all"),
        ("pyworld", "scipy"),
    ),
    "amphion": F0Preset(
        (
            _error(
                "f0_rmse_amphion",
                "F0 RMSE (Amphion)",
                "cents",
                float("inf"),
                "RMSE of F0 as Amphion's script: Praat, cents about the median, voiced frames only, warped.",
                digits=1,
            ),
        ),
        _amphion_contours,
        amphion_f0_rmse,
        (
            "rmse_f0:amphion",
            f"f0:praat-ac-{AMPHION_F0[0]:g}-{AMPHION_F0[1]:g}Hz/hop-{AMPHION_HOP}/voicing-{AMPHION_VOICING}",
            "center:median-cents",
            "warp:exact-dtw/f0",
            "frames:voiced-each",
            "mismatch:any",
        ),
        ("praat-parselmouth", "librosa"),
        {"parselmouth": "uv pip install praat-parselmouth (GPL-3)"},
    ),
}
