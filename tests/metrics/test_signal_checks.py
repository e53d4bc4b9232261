from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.signal_checks import SignalChecks, find_offset, frame_levels

AGAINST_SPEECH = {"health_offset", "health_correlation", "health_loudness"}


def validate(one) -> Scores:
    [outcome] = SignalChecks(MetricOptions()).score([one])
    assert isinstance(outcome, Scores), outcome
    assert {*outcome.values, *outcome.undefined} == {column.name for column in SignalChecks.columns}
    for column in SignalChecks.columns:
        if column.name in outcome.values:
            assert column.lower <= outcome.values[column.name] <= column.upper
    return outcome


def test_the_real_speech_is_healthy(speech, sample) -> None:
    audio = speech("LJ001-0002")
    values = validate(sample(audio, audio)).values
    assert values["health_offset"] == 0
    assert values["health_correlation"] == pytest.approx(1)
    assert values["health_loudness"] == values["health_duration"] == values["health_clipping"] == 0
    assert abs(values["health_dc"]) < 0.001
    assert values["health_silence"] < 0.1


def test_clipped_samples_are_counted(speechlike, sample) -> None:
    audio = speechlike(1.0)
    broken = audio.copy()
    broken[:160] = 1.0
    broken[160:320] = -1.5
    broken[320:480] = 0.99
    assert validate(sample(broken, audio)).values["health_clipping"] == pytest.approx(320 / 16_000)


def test_silent_frames_and_dc(speechlike, sample) -> None:
    audio = speechlike(1.0)
    half = audio.copy()
    half[8000:] = 0
    assert validate(sample(half, audio)).values["health_silence"] == pytest.approx(0.5, abs=0.03)
    values = validate(sample(audio + np.float32(0.1), audio)).values
    assert values["health_dc"] == pytest.approx(0.1 + float(audio.mean(dtype=float)), abs=1e-6)
    assert values["health_loudness"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("late_ms", [-400, -125, -40, 0, 11, 40, 200, 480])
def test_an_offset_is_found(speech, sample, late_ms: int) -> None:
    real = speech("LJ001-0004")
    shift = late_ms * 16
    moved = np.zeros_like(real)
    moved[max(0, shift) : len(real) + min(0, shift)] = real[max(0, -shift) : len(real) - max(0, shift)]
    values = validate(sample(moved, real)).values
    assert values["health_offset"] == pytest.approx(late_ms, abs=2.5)
    assert values["health_correlation"] > 0.97


def test_the_offset_survives_noise_and_another_level(speech, sample) -> None:
    real = speech("p287_003_clean")
    noisy = speech("p287_003_noisy") * np.float32(0.3)
    late = np.concatenate([np.zeros(1280, np.float32), noisy])[: len(real)]
    assert validate(sample(late, real)).values["health_offset"] == pytest.approx(80, abs=6)


def test_level_and_duration(speechlike, sample) -> None:
    audio = speechlike(1.5)
    values = validate(sample((audio * np.float32(0.5))[:-8000], audio)).values
    assert values["health_loudness"] == pytest.approx(-6.02, abs=0.3)
    assert values["health_duration"] == pytest.approx(-0.5)


def test_a_silent_clip_has_health_values(speechlike, sample) -> None:
    audio = speechlike(1.0)
    for one, silent in ((sample(audio * 0, audio), 1.0), (sample(audio, audio * 0), None)):
        outcome = validate(one)
        assert outcome.undefined == dict.fromkeys(AGAINST_SPEECH, FailureKind.SILENT)
        if silent is not None:
            assert outcome.values["health_silence"] == silent


def test_a_blip_has_no_offset(speechlike, sample) -> None:
    audio = speechlike(1.0)
    outcome = validate(sample(audio[3000:3001], audio))
    assert "health_offset" in outcome.undefined
    outcome = validate(sample(audio[:4000], audio))
    assert outcome.undefined == dict.fromkeys(AGAINST_SPEECH - {"health_loudness"}, FailureKind.TOO_SHORT)


def test_a_contour_that_does_not_move_has_no_offset() -> None:
    assert find_offset(np.zeros(100), np.arange(100.0)) is None


def test_without_reference_there_is_nothing_to_compare_with(speechlike, sample) -> None:
    [outcome] = SignalChecks(MetricOptions()).score([sample(speechlike(1.0))])
    assert isinstance(outcome, ClipFailure)
    assert outcome.kind is FailureKind.NO_AUDIO


def test_levels_of_frames() -> None:
    samples = np.concatenate([np.tile([1.0, -1.0], 160), np.zeros(320), np.tile([0.1, -0.1], 80)]).astype(np.float32)
    np.testing.assert_allclose(frame_levels(samples), [0, -np.inf, -20], atol=1e-4)
