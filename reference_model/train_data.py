"""Training data of the main stage: corpus and speaker statistics, and the examples of content, timbre and prosody."""

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
    """Compute means and deviations over the training clips."""
    names = ("mel", "f0", "energy")
    return feature_statistics(*(np.concatenate([getattr(clip, name) for clip in clips]) for name in names))


def feature_statistics(
    mel: NDArray[np.float32], f0: NDArray[np.float32], energy: NDArray[np.float32]
) -> DataStatistics:
    """Compute means and deviations of log mels, of log F0 where voiced, and of energy.

    Args:
        mel: log mels, ``(n, 80)``, natural log.
        f0: F0, ``(n,)``, Hz, 0 where unvoiced.
        energy: log energy, ``(n,)``.
    """
    return DataStatistics(mean_std(mel), mean_std(np.log(f0[f0 > 0])), mean_std(energy))


class SpeakerStats(NamedTuple):
    """Statistics of one speaker.

    Attributes:
        speaker_id: index among the speakers of the corpus.
        pitch_stats: mean and deviation of log F0, standardized over the corpus, float32 ``(2,)``.
    """

    speaker_id: int
    pitch_stats: NDArray[np.float32]


def speaker_stats(clips: Iterable[tuple[str, ClipFeatures]], statistics: DataStatistics) -> dict[str, SpeakerStats]:
    """Compute the pitch statistics of each speaker.

    Args:
        clips: pairs of speaker name and clip, read one at a time.
        statistics: means and deviations of the corpus.

    Returns:
        Statistics by speaker name; a speaker without voiced frames gets the corpus's.
    """
    mean, deviation = statistics.pitch
    pitches: dict[str, list[NDArray[Any]]] = {}
    for speaker, clip in clips:
        pitches.setdefault(speaker, []).append((np.log(clip.f0[clip.f0 > 0]) - mean) / deviation)
    stats: dict[str, SpeakerStats] = {}
    for speaker_id, (speaker, parts) in enumerate(pitches.items()):
        pitch = np.concatenate(parts)
        pair = [float(pitch.mean()), max(float(pitch.std()), 0.05)] if len(pitch) > 1 else [0.0, 1.0]
        stats[speaker] = SpeakerStats(speaker_id, np.array(pair, np.float32))
    return stats


def training_example(
    clip: ClipFeatures,
    features: NDArray[np.float32],
    units: UnitLabeler,
    speaker: SpeakerStats,
    identity: NDArray[Any],
) -> Example:
    """Build the main stage's example of a clip.

    Args:
        clip: features of the clip.
        features: lip features, ``(T, L, D)``.
        units: labeler of speech units.
        speaker: statistics of the speaker.
        identity: faces ``(K, 112, 112, 3)``, or an ArcFace embedding ``(512,)``.
    """
    return Example(
        clip.frames,
        {
            "features": features,
            "face": clip.face,
            "units": units(clip),
            "mel": clip.mel,
            "f0": clip.f0,
            "energy": clip.energy,
        },
        {
            "identity": identity,
            "speaker": clip.speaker,
            "pitch_stats": speaker.pitch_stats,
            "person": np.array(speaker.speaker_id),
        },
    )
