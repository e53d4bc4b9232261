"""Visemes: timed phonemes to articulator targets, blended by dominance, with real closures.

Blending: every phoneme pulls each articulator towards its target with a dominance that fades away from its center, and
the articulator follows the weighted mean (A. Löfqvist 1990; M. Cohen and D. Massaro, "Modeling coarticulation in
synthetic visual speech", 1993). A /t/ has little dominance over the lips, so in "two" they are round already. Closures
(p b m), lip against teeth (f v) and tongue between teeth (th) are reached, not averaged away: what a real mouth does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from f2v_bench.timing import FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.datasets.demo.speech import Phone

#: Blended articulators. aperture: between the lips, 0 closed, 1 widest. spread: corners, -1 pursed, 1 wide.
#: protrusion: 0 to 1. upper_teeth, lower_teeth, tongue: visible share, 0 to 1.
BLENDED = ("aperture", "spread", "protrusion", "upper_teeth", "lower_teeth", "tongue")
#: Articulators with closures, all 0 to 1. closure: lips pressed. tuck: lower lip at the upper teeth. tip: tongue
#: between the teeth. puff: cheeks before the release of a plosive. nostrils: flared while air passes the nose.
REACHED = ("closure", "tuck", "tip", "puff", "nostrils")
ARTICULATORS = BLENDED + REACHED

_STEP_S = 0.005  # articulators are computed at 200 Hz, then pooled into frames
_FADE_S = 0.035  # rise and fall of a reached articulator


@dataclass(frozen=True, slots=True)
class _Target:
    """Targets of the blended articulators, their dominance, and the reached articulators.

    Attributes:
        blended: targets in the order of ``BLENDED``.
        lips: dominance over spread and protrusion.
        jaw: dominance over aperture, teeth and tongue.
        reached: names of reached articulators.
    """

    blended: tuple[float, float, float, float, float, float]
    lips: float = 1.0
    jaw: float = 1.0
    reached: tuple[str, ...] = ()


_REST = _Target((0.0, 0.0, 0.05, 0.0, 0.0, 0.0), lips=0.5, jaw=1.0)
_VOWELS: Mapping[str, _Target] = {
    "i:": _Target((0.28, 0.95, 0.0, 0.85, 0.45, 0.45)),
    "I": _Target((0.38, 0.45, 0.0, 0.65, 0.15, 0.35)),
    "E": _Target((0.58, 0.4, 0.0, 0.6, 0.1, 0.3)),
    "a": _Target((0.82, 0.35, 0.0, 0.55, 0.2, 0.15)),
    "A": _Target((1.0, -0.05, 0.05, 0.35, 0.2, 0.05)),
    "V": _Target((0.68, 0.0, 0.0, 0.45, 0.1, 0.15)),
    "@": _Target((0.36, 0.0, 0.05, 0.4, 0.1, 0.2), lips=0.6, jaw=0.7),
    "o": _Target((0.6, -0.6, 0.65, 0.15, 0.0, 0.05), lips=1.3),
    "u": _Target((0.2, -0.95, 1.0, 0.0, 0.0, 0.0), lips=1.6),
    "w": _Target((0.1, -1.0, 1.0, 0.0, 0.0, 0.0), lips=2.0, jaw=1.3),
}
_TARGETS: Mapping[str, tuple[_Target, ...]] = {  # two targets: a diphthong
    **{name: (_VOWELS[name],) for name in ("i:", "I", "E", "a", "V", "@")},
    "i": (_VOWELS["i:"],),
    "a#": (_VOWELS["@"],),
    "u:": (_VOWELS["u"],),
    "A@": (_VOWELS["A"], _VOWELS["V"]),
    "eI": (_VOWELS["E"], _VOWELS["i:"]),
    "aI": (_VOWELS["A"], _VOWELS["i:"]),
    "aU": (_VOWELS["A"], _VOWELS["u"]),
    "oU": (_VOWELS["o"], _VOWELS["u"]),
    "o@": (_VOWELS["o"],),
    "i@": (_VOWELS["i:"], _VOWELS["@"]),
    "p": (_Target((0.0, 0.0, 0.1, 0.0, 0.0, 0.1), lips=0.3, jaw=1.4, reached=("closure", "puff")),),
    "b": (_Target((0.0, 0.0, 0.1, 0.0, 0.0, 0.1), lips=0.3, jaw=1.4, reached=("closure",)),),
    "m": (_Target((0.0, 0.1, 0.0, 0.0, 0.0, 0.1), lips=0.3, jaw=1.4, reached=("closure", "nostrils")),),
    "f": (_Target((0.16, 0.15, 0.0, 1.0, 0.0, 0.0), lips=0.6, jaw=1.6, reached=("tuck",)),),
    "v": (_Target((0.16, 0.15, 0.0, 1.0, 0.0, 0.0), lips=0.6, jaw=1.6, reached=("tuck",)),),
    "T": (_Target((0.3, 0.2, 0.0, 0.75, 0.1, 0.6), lips=0.5, jaw=1.5, reached=("tip",)),),
    "D": (_Target((0.28, 0.15, 0.0, 0.7, 0.1, 0.6), lips=0.4, jaw=1.4, reached=("tip",)),),
    "t": (_Target((0.18, 0.15, 0.0, 0.75, 0.4, 0.85), lips=0.15, jaw=1.1),),
    "d": (_Target((0.22, 0.1, 0.0, 0.7, 0.3, 0.9), lips=0.15, jaw=1.1),),
    "n": (_Target((0.24, 0.1, 0.0, 0.65, 0.2, 1.0), lips=0.15, jaw=1.0, reached=("nostrils",)),),
    "l": (_Target((0.4, 0.15, 0.0, 0.6, 0.1, 1.0), lips=0.25, jaw=1.2),),
    "s": (_Target((0.2, 0.55, 0.0, 1.0, 1.0, 0.1), lips=0.5, jaw=1.5),),
    "z": (_Target((0.21, 0.5, 0.0, 1.0, 0.95, 0.1), lips=0.5, jaw=1.4),),
    "S": (_Target((0.26, -0.5, 0.75, 0.95, 0.85, 0.1), lips=1.2, jaw=1.3),),
    "r": (_Target((0.2, -0.5, 0.55, 0.35, 0.1, 0.2), lips=0.9, jaw=0.9),),
    "w": (_VOWELS["w"],),
    "j": (_Target((0.2, 0.7, 0.0, 0.8, 0.4, 0.5), lips=0.5, jaw=0.8),),
    "k": (_Target((0.34, 0.0, 0.0, 0.45, 0.2, 0.25), lips=0.1, jaw=0.5),),
    "h": (_Target((0.45, 0.0, 0.0, 0.4, 0.1, 0.15), lips=0.1, jaw=0.3),),
    ";": (_VOWELS["@"],),
}
_SAME: Mapping[str, str] = {"tS": "S", "dZ": "S", "Z": "S", "g": "k", "t#": "t", "0": "o@", "U": "oU", "N": "k"}

#: phoneme classes that differ on the lips, to measure how legible the corpus is
VISEMES: Mapping[str, str] = {
    **dict.fromkeys(("p", "b", "m"), "bilabial"),
    **dict.fromkeys(("f", "v"), "labiodental"),
    **dict.fromkeys(("T", "D"), "dental"),
    **dict.fromkeys(("t", "t#", "d", "n", "l"), "alveolar"),
    **dict.fromkeys(("s", "z"), "sibilant"),
    **dict.fromkeys(("S", "tS", "dZ"), "postalveolar"),
    **dict.fromkeys(("k", "g", "h"), "back"),
    **dict.fromkeys(("r", "w"), "rounded consonant"),
    **dict.fromkeys(("i:", "I", "j", "i", "eI", "i@"), "spread vowel"),
    **dict.fromkeys(("E", "a", "V", "@", "a#", "A@", "aI", "aU"), "open vowel"),
    **dict.fromkeys(("u:", "oU", "o@"), "rounded vowel"),
}


def _targets(name: str) -> tuple[_Target, ...]:
    if name.startswith("_"):
        return (_REST,)
    return _TARGETS[_SAME.get(name, name)]


def articulate(phones: Sequence[Phone], offset_s: float, frames: int) -> dict[str, NDArray[np.float32]]:
    """Return the articulators of every video frame.

    Args:
        phones: phonemes in order; the first starts at 0 s.
        offset_s: start of the speech in the video, seconds.
        frames: length of the video, 25 fps.

    Returns:
        One track ``(frames,)`` for each name of ``ARTICULATORS``.

    Raises:
        KeyError: a phoneme without a target.
    """
    per_frame = round(1 / FPS / _STEP_S)
    times = np.asarray((np.arange(frames * per_frame) + 0.5) * _STEP_S - offset_s, np.float64)
    tracks = _blend(phones, times) | _reach(phones, times)
    out = {}
    for name, track in tracks.items():
        shutter = track.reshape(frames, per_frame)
        # a closure shorter than a frame stays visible: the frame shows its maximum
        out[name] = (shutter.max(axis=1) if name in REACHED else shutter.mean(axis=1)).astype(np.float32)
    return out


def _segments(phones: Sequence[Phone]) -> list[tuple[float, float, _Target]]:
    """Return ``(center, half length, target)`` of every target in time, with rest before and after the speech."""
    end = phones[-1].end_s
    segments = [(-0.6, 0.45, _REST), (end + 0.68, 0.5, _REST)]
    for phone in phones:
        targets = _targets(phone.name)
        length = (phone.end_s - phone.start_s) / len(targets)
        for place, target in enumerate(targets):
            segments.append((phone.start_s + (place + 0.5) * length, length / 2, target))
    return segments


def _blend(phones: Sequence[Phone], times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    segments = _segments(phones)
    centers, halves = np.array([(center, half) for center, half, _ in segments]).T
    values = np.array([target.blended for *_, target in segments])  # (S, 6)
    weights = np.array(
        [[target.jaw, target.lips, target.lips, target.jaw, target.jaw, target.jaw] for *_, target in segments]
    )
    reach = halves * 0.9 + 0.022
    dominance = np.exp(-(np.abs((times[:, None] - centers) / reach) ** 2)) + 1e-9  # (t, S)
    tracks = (dominance @ (weights * values)) / (dominance @ weights)
    return dict(zip(BLENDED, tracks.T, strict=True))


def _reach(phones: Sequence[Phone], times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    tracks = {name: np.zeros(len(times)) for name in REACHED}
    for phone in phones:
        for target in _targets(phone.name):
            for name in target.reached:
                outside = np.maximum(phone.start_s - times, times - phone.end_s)
                track = np.clip(1 - outside / _FADE_S, 0, 1)
                tracks[name] = np.maximum(tracks[name], track * track * (3 - 2 * track))
    return tracks
