"""Speech analysis of VERSA's ``mcd_f0``, shared by the presets ``versa`` of ``mcd`` and ``rmse_f0``.

Shi et al., "VERSA" (NAACL 2025), its ``mcd_f0`` without warping, which is its default and gives its golden values.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import mcep
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

F0_MIN, F0_MAX = 40.0, 800.0  # Hz
FULL_SCALE = 32_767
TAPS, CUT_HZ = 255, 70
MAX_MISMATCH = 0.1  # share of the frames of both
SIGNATURE = (
    f"f0:harvest-{F0_MIN:g}-{F0_MAX:g}Hz/5ms",
    f"scale:{FULL_SCALE}",
    f"high-pass:fir{TAPS}-{CUT_HZ}Hz",
    "dtw:no",
    "mismatch:10%-cut",
)


@cache
def _high_pass_taps() -> NDArray[np.float64]:
    from scipy.signal import firwin

    taps: NDArray[np.float64] = firwin(TAPS, CUT_HZ / (SAMPLE_RATE // 2), pass_zero=False)
    return taps


def high_pass(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``samples``, float32 ``(n,)`` at 16 kHz, on the scale of 16-bit integers, without what is below 70 Hz."""
    from scipy.signal import lfilter

    filtered: NDArray[np.float64] = lfilter(_high_pass_taps(), [1.0], samples.astype(np.float64) * FULL_SCALE)
    return filtered


def f0_contour(waveform: Waveform) -> NDArray[np.float64]:
    """Return F0 in Hz every 5 ms, 0 where unvoiced, ``(frames,)``."""
    return mcep.harvest(high_pass(waveform.samples), F0_MIN, F0_MAX, mcep.FRAME_MS)[0]


def cut_to_shorter(
    features: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Cut both sequences to the shorter.

    Args:
        features: features of the output, ``(frames, ...)``.
        reference: features of the real speech, ``(reference frames, ...)``.

    Raises:
        ClipFailure: ``duration_mismatch`` where they differ by a tenth of their sum or more.
    """
    frames, frames_ref = len(features), len(reference)
    if abs(frames - frames_ref) / (frames + frames_ref) >= MAX_MISMATCH:
        raise ClipFailure(
            FailureKind.DURATION_MISMATCH, f"{frames} and {frames_ref} frames differ by a tenth of their sum or more"
        )
    frames = min(frames, frames_ref)
    return features[:frames], reference[:frames]
