"""The main stage: content, timbre, prosody, prior and flow trained together on frozen lip features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from f2v_bench.modeling.batch import Example
from f2v_bench.training.data.dataset import mean_std
from f2v_bench.training.data.features import ClipFeatures
from reference_model.mel_decoder import DataStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from f2v_bench.training.data.dataset import UnitLabeler


def compute_statistics(clips: Sequence[ClipFeatures]) -> DataStatistics:
    """Means and deviations over the training clips."""
    return statistics_of(*(np.concatenate([getattr(clip, name) for clip in clips]) for name in ("mel", "f0", "energy")))


def statistics_of(mel: NDArray[np.float32], f0: NDArray[np.float32], energy: NDArray[np.float32]) -> DataStatistics:
    """Means and deviations of log mels ``(n, 80)``, and of log F0 where voiced and energy, ``(n,)`` each."""
    return DataStatistics(mean_std(mel), mean_std(np.log(f0[f0 > 0])), mean_std(energy))


class SpeakerStats(NamedTuple):
    """A speaker of the corpus.

    Attributes:
        number: among the speakers.
        place: mean and deviation of log F0 in the corpus's deviations, float32 ``(2,)``.
    """

    number: int
    place: NDArray[np.float32]


def speaker_stats(clips: Iterable[tuple[str, ClipFeatures]], standard: DataStatistics) -> dict[str, SpeakerStats]:
    """Where each speaker's pitch lies and how far it moves.

    Args:
        clips: each with the name of its speaker, one at a time.
        standard: of the corpus.

    Returns:
        By name; a speaker never voiced is average.
    """
    mean, deviation = standard.pitch
    heard: dict[str, list[NDArray[Any]]] = {}
    for speaker, clip in clips:
        heard.setdefault(speaker, []).append((np.log(clip.f0[clip.f0 > 0]) - mean) / deviation)
    found: dict[str, SpeakerStats] = {}
    for number, (speaker, parts) in enumerate(heard.items()):
        pitch = np.concatenate(parts)
        place = [float(pitch.mean()), max(float(pitch.std()), 0.05)] if len(pitch) > 1 else [0.0, 1.0]
        found[speaker] = SpeakerStats(number, np.array(place, np.float32))
    return found


def training_example(
    targets: ClipFeatures,
    features: NDArray[np.float32],
    units: UnitLabeler,
    person: SpeakerStats,
    identity: NDArray[Any],
) -> Example:
    """What the main stage sees of a clip.

    Args:
        targets: of the clip.
        features: of its lips, ``(T, L, D)``.
        units: what labels its sound.
        person: who speaks.
        identity: faces ``(K, 112, 112, 3)``, or ArcFace's vector ``(512,)``.
    """
    return Example(
        targets.frames,
        {
            "features": features,
            "face": targets.face,
            "units": units(targets),
            "mel": targets.mel,
            "f0": targets.f0,
            "energy": targets.energy,
        },
        {
            "identity": identity,
            "speaker": targets.speaker,
            "pitch_place": person.place,
            "person": np.array(person.number),
        },
    )
