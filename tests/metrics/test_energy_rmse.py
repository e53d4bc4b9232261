from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.energy_rmse import EnergyRMSE, energy_db, energy_rmse

CONTOURS = st.lists(st.tuples(st.floats(-100, 60), st.floats(-100, 60)), min_size=1, max_size=50)


def scored(one) -> dict[str, float]:
    [outcome] = EnergyRMSE(MetricOptions()).score([one])
    assert isinstance(outcome, Scores), outcome
    return dict(outcome.values)


def test_energy_is_in_decibels() -> None:
    """A sine of amplitude a at a bin's center: the windowed norm is a * sqrt(sum of squared weights) / 2 and more."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    energy = energy_db(tone)
    assert len(energy) == 100
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    expected = np.linalg.norm(np.fft.rfft(tone[:640] * window))
    assert energy[50] == pytest.approx(20 * np.log10(expected), abs=1e-4)
    assert energy_db(tone * np.float32(0.1))[50] == pytest.approx(energy[50] - 20, abs=1e-4)
    assert energy_db(np.zeros(1600, np.float32)) == pytest.approx(-100)


def test_identical_audio_is_perfect(speechlike, sample) -> None:
    audio = speechlike(1.0)
    assert scored(sample(audio, audio)) == {"energy_rmse": 0, "energy_rmse_centered": 0}


def test_gain_counts_in_one_column_alone(speechlike, sample) -> None:
    audio = speechlike(1.0)
    found = scored(sample(audio * np.float32(0.5), audio))
    assert found["energy_rmse"] == pytest.approx(20 * np.log10(2), abs=0.01)
    assert found["energy_rmse_centered"] == pytest.approx(0, abs=0.01)


def test_a_flattened_voice_shows_in_both(speechlike, sample) -> None:
    audio = speechlike(1.0)
    flat = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32) * 0.1
    found = scored(sample(flat, audio))
    assert found["energy_rmse_centered"] > 5
    assert found["energy_rmse"] >= found["energy_rmse_centered"]


@given(CONTOURS)
def test_centring_never_adds_error(pairs: list[tuple[float, float]]) -> None:
    ours, real = (np.array(side) for side in zip(*pairs, strict=True))
    plain, centered = energy_rmse(ours, real), energy_rmse(ours, real, centered=True)
    assert centered <= plain + 1e-9
    assert plain == pytest.approx(energy_rmse(real, ours))
    assert energy_rmse(ours + 7, real, centered=True) == pytest.approx(centered, abs=1e-9)
    assert plain**2 == pytest.approx(centered**2 + np.mean(ours - real) ** 2, abs=1e-6)


def test_unequal_contours_are_the_callers_mistake() -> None:
    for pair in ((np.zeros(2), np.zeros(3)), (np.zeros(0), np.zeros(0))):
        with pytest.raises(ValueError, match="equal lengths"):
            energy_rmse(*pair)


def test_silence_and_other_durations_are_failures(speechlike, sample) -> None:
    audio = speechlike(0.5)
    outcomes = EnergyRMSE(MetricOptions()).score([sample(audio * 0, audio), sample(audio, speechlike(0.7))])
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, ClipFailure)]
    assert kinds == [FailureKind.SILENT, FailureKind.DURATION_MISMATCH]


def test_up_to_100_ms_are_cut(speechlike, sample) -> None:
    audio = speechlike(1.0)
    assert scored(sample(audio[:-1000], audio))["energy_rmse"] == 0
