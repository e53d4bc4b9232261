from __future__ import annotations

import librosa
import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.mel_distance import MelDistance, mel_distance


def scored(one) -> dict[str, float]:
    [outcome] = MelDistance(MetricOptions()).score([one])
    assert isinstance(outcome, Scores), outcome
    return dict(outcome.values)


def test_gain_is_its_logarithm_and_does_not_affect_the_centered_column(sample) -> None:
    loud = (0.3 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    found = scored(sample(loud * np.float32(0.1), loud))
    assert found["mel_l1"] == pytest.approx(np.log(10), abs=1e-4)
    assert found["mel_l1_centered"] == pytest.approx(0, abs=1e-4)


def test_real_speech_against_librosa(speech, sample) -> None:
    clean, noisy = speech("p287_001_clean"), speech("p287_001_noisy")

    def mel(samples: np.ndarray) -> np.ndarray:
        padded = np.pad(samples, 240, mode="reflect")
        power = librosa.feature.melspectrogram(
            y=padded, sr=16_000, n_fft=640, hop_length=160, n_mels=80, fmin=0, fmax=8000, center=False, power=1.0
        )
        return np.log(np.maximum(power, 1e-5))

    count = len(clean) // 160
    expected = np.abs(mel(noisy)[:, :count] - mel(clean)[:, :count]).mean()
    assert scored(sample(noisy, clean))["mel_l1"] == pytest.approx(expected, abs=1e-3)


def test_it_is_symmetric_and_a_distance(speechlike, sample) -> None:
    one, other, third = (speechlike(0.8, seed=seed) for seed in range(3))
    there, back = scored(sample(one, other)), scored(sample(other, one))
    assert there == pytest.approx(back)
    around = scored(sample(one, third))["mel_l1"] + scored(sample(third, other))["mel_l1"]
    assert 0 < there["mel_l1"] <= around + 1e-9


def test_unequal_mels_are_the_callers_mistake() -> None:
    for pair in ((np.zeros((2, 80)), np.zeros((3, 80))), (np.zeros((0, 80)), np.zeros((0, 80)))):
        with pytest.raises(ValueError, match="equal shapes"):
            mel_distance(*pair)


def test_silence_and_other_durations_are_failures(speechlike, sample) -> None:
    audio = speechlike(0.5)
    outcomes = MelDistance(MetricOptions()).score([sample(audio * 0, audio), sample(audio, speechlike(0.7))])
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, ClipFailure)]
    assert kinds == [FailureKind.SILENT, FailureKind.DURATION_MISMATCH]
