"""Mel-cepstral distortion (MCD) in dB, default protocol ``mcd/v1`` and the presets of ESPnet and VERSA.

Kubichek, "Mel-cepstral distance measure for objective speech quality assessment" (1993). The default compares in
place, because output and reference share the clock of the video, and excludes c0, which is the level. MCDs of
different extractors, orders, warpings or c0 rules are different quantities: each preset has its own column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics import common, mcep, versa
from f2v_bench.metrics.base import Column, MetricOptions, MetricUnavailable, Need, PerClipMetric, Sample, Scores
from f2v_bench.metrics.lru import LRUCache
from f2v_bench.timing import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER, ALPHA = 24, 0.42
VERSA_ORDER, VERSA_ALPHA = 39, 0.466
ESPNET_ORDER, ESPNET_ALPHA = 23, 0.42  # values of ESPnet's script at 16 kHz
ESPNET_WINDOW, ESPNET_HOP = 1024, 256  # samples
CACHE_SIZE = 512  # mel-cepstra of 3 s: 0.1 MB each


def mel_cepstrum(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mel-cepstrum of the default protocol: ``pyworld.wav2world``'s envelope, order 24, alpha 0.42.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``, at least one sample.

    Returns:
        Mel-cepstrum every 5 ms, float64 ``(1 + n // 80, 25)``, c0 first.
    """
    double = samples.astype(np.float64)
    return mcep.mel_cepstrum(mcep.envelope(double, *mcep.dio(double)), ORDER, ALPHA)


def mcd(audio: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the mel-cepstral distortion of the default protocol.

    Args:
        audio: waveform of the output at 16 kHz, float32 ``(n,)``.
        reference: waveform of the real speech; the longer of the two is cut.

    Returns:
        Distortion in dB, 0 for equal audio; 8.6 between different GRID sentences of one speaker.
    """
    return _in_place(mel_cepstrum(audio), mel_cepstrum(reference))


def _in_place(mel: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    frames = min(len(mel), len(reference))
    return mcep.distortion(mel[:frames], reference[:frames], c0=False)


def versa_mel_cepstrum(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return VERSA's mel-cepstrum of float32 ``(n,)`` at 16 kHz, ``(1 + n // 80, 40)``, c0 first."""
    filtered = versa.high_pass(samples)
    f0 = mcep.harvest(filtered, versa.F0_MIN, versa.F0_MAX, mcep.FRAME_MS)
    return mcep.mel_cepstrum(mcep.envelope(filtered, *f0), VERSA_ORDER, VERSA_ALPHA)


def _versa(mel: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    return mcep.distortion(*versa.cut_to_shorter(mel, reference), c0=True)


def espnet_mel_cepstrum(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ESPnet's mel-cepstrum: SPTK's analysis of Hamming windows of 64 ms every 16 ms.

    Args:
        samples: waveform at 16 kHz, float32 ``(n,)``.

    Returns:
        Mel-cepstrum, ``(1 + (n - 1024) // 256, 24)``, c0 first.

    Raises:
        ClipFailure: ``too_short`` below one window.
    """
    if len(samples) < ESPNET_WINDOW:
        raise ClipFailure(FailureKind.TOO_SHORT, f"{len(samples)} samples: one window has {ESPNET_WINDOW}")
    sptk = mcep.import_quietly("pysptk")
    frames = np.lib.stride_tricks.sliding_window_view(mcep.as_int16(samples), ESPNET_WINDOW)[::ESPNET_HOP]
    windowed = frames * sptk.hamming(ESPNET_WINDOW)
    mel: NDArray[np.float64] = sptk.mcep(windowed, order=ESPNET_ORDER, alpha=ESPNET_ALPHA, eps=1e-6, etype=1)
    return mel


def _warped(mel: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    index, index_ref = mcep.dtw_path(mel, reference)
    return mcep.distortion(mel[index], reference[index_ref], c0=True)


@dataclass(frozen=True, slots=True)
class _Preset:
    """Protocol of an MCD.

    Attributes:
        column: name and definition.
        analyze: function from samples to mel-cepstrum.
        compare: function from two mel-cepstra to dB.
        in_place: True where output and reference must have equal durations (within 100 ms).
        signature: parts of the signature.
        packages: packages whose versions belong to the signature.
    """

    column: Column
    analyze: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    compare: Callable[[NDArray[np.float64], NDArray[np.float64]], float]
    in_place: bool
    signature: tuple[str, ...]
    packages: tuple[str, ...]


PRESETS = {
    "f2v": _Preset(
        common.error_column(
            "mcd", "MCD", "dB", "Mel-cepstral distortion of WORLD's envelopes, order 24, without c0, in place."
        ),
        mel_cepstrum,
        _in_place,
        True,
        (
            "mcd:v1",
            f"f0:dio-stonemask-{mcep.F0_FLOOR:g}-{mcep.F0_CEIL:g}Hz/5ms",
            f"mcep:cheaptrick-{mcep.FFT_SIZE}/order-{ORDER}/alpha-{ALPHA}",
            "c0:out",
            "dtw:no",
            f"mismatch:{common.MAX_MISMATCH_S * 1000:g}ms-cut",
        ),
        ("pyworld",),
    ),
    "espnet": _Preset(
        common.error_column(
            "mcd_espnet", "MCD (ESPnet)", "dB", "Mel-cepstral distortion of ESPnet's script, c0 in, warped in time."
        ),
        espnet_mel_cepstrum,
        _warped,
        False,
        (
            "mcd:espnet",
            "scale:int16",
            f"mcep:sptk-hamming-{ESPNET_WINDOW}-hop-{ESPNET_HOP}/order-{ESPNET_ORDER}/alpha-{ESPNET_ALPHA}/eps-1e-6",
            "c0:in",
            "dtw:exact-euclidean",
            "mismatch:any",
        ),
        ("pysptk", "librosa"),
    ),
    "versa": _Preset(
        common.error_column(
            "mcd_versa", "MCD (VERSA)", "dB", "Mel-cepstral distortion of VERSA's mcd_f0, order 39, c0 in, in place."
        ),
        versa_mel_cepstrum,
        _versa,
        False,
        (
            "mcd:versa",
            *versa.SIGNATURE,
            f"mcep:cheaptrick-{mcep.FFT_SIZE}/order-{VERSA_ORDER}/alpha-{VERSA_ALPHA}",
            "c0:in",
        ),
        ("pyworld", "scipy"),
    ),
}


class MCD(PerClipMetric):
    """Mel-cepstral distortion.

    Setting ``preset``: ``f2v`` (default), ``espnet`` or ``versa``; each has its own column and signature.
    ``espnet`` needs the package pysptk, whose iterative analysis has no other implementation; it warps by exact DTW
    where ESPnet's script uses ``fastdtw``.
    """

    name = "mcd"
    needs = frozenset({Need.REFERENCE})
    sample_rate = SAMPLE_RATE
    columns = (PRESETS["f2v"].column,)

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        preset = common.parse_settings(self.options, self.name, {"preset": tuple(PRESETS)})["preset"]
        self._preset = PRESETS[preset]
        if "pysptk" in self._preset.packages and find_spec("pysptk") is None:
            raise MetricUnavailable(
                self.name, f"the preset '{preset}' needs the package pysptk", "Install it: uv pip install pysptk"
            )
        self.columns = (self._preset.column,)
        self._cepstra: LRUCache[NDArray[np.float64]] = LRUCache(CACHE_SIZE)

    @property
    def signature(self) -> str:
        return common.signature(*self._preset.signature, packages=self._preset.packages, aggregate="clip-mean")

    def score_clip(self, sample: Sample) -> Scores:
        if self._preset.in_place:
            common.aligned_pair(sample)  # checks only: the mel-cepstra are those of the full waveforms
        else:
            common.require_sound(sample.audio.samples, "audio")
            common.require_sound(common.require_reference(sample).samples, "reference")
        mel = self._mel_cepstrum(sample.audio)
        reference = self._mel_cepstrum(common.require_reference(sample))
        return Scores({self._preset.column.name: self._preset.compare(mel, reference)})

    def _mel_cepstrum(self, waveform: Waveform) -> NDArray[np.float64]:
        return self._cepstra.get(waveform, lambda wave: self._preset.analyze(wave.samples))
