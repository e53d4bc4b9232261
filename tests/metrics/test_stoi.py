from __future__ import annotations

import warnings

import numpy as np
import pystoi
import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.stoi import STOI, best_shift, stoi


def test_golden_values_on_jfk(jfk_pair, sample) -> None:
    [scores] = STOI(MetricOptions()).score([sample(*jfk_pair)])
    assert isinstance(scores, Scores)
    assert scores.values["stoi"] == pytest.approx(0.7225757, abs=5e-6)
    assert scores.values["estoi"] == pytest.approx(0.5746301, abs=5e-6)


def test_golden_values_on_versas_pair(versa_pair, sample) -> None:
    [scores] = STOI(MetricOptions()).score([sample(*versa_pair)])
    assert isinstance(scores, Scores)
    assert scores.values["stoi"] == pytest.approx(0.0076251, abs=1e-6)
    assert scores.values["estoi"] == pytest.approx(-0.0041636, abs=1e-6)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("number", range(1, 7))
def test_equals_pystoi_on_real_pairs(speech, number: int, extended: bool) -> None:
    noisy, clean = speech(f"p287_00{number}_noisy"), speech(f"p287_00{number}_clean")
    theirs = pystoi.stoi(clean, noisy, 16_000, extended=extended)
    assert stoi(noisy, clean, extended=extended) == pytest.approx(theirs, abs=1e-9)


def test_identical_audio_is_perfect_at_any_gain(speechlike, sample) -> None:
    audio = speechlike()
    for gain in (1.0, 0.1):
        [scores] = STOI(MetricOptions()).score([sample(audio * np.float32(gain), audio)])
        assert isinstance(scores, Scores)
        assert scores.values == pytest.approx({"stoi": 1.0, "estoi": 1.0}, abs=1e-4)


def test_every_length_is_a_value_or_too_short() -> None:
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pystoi's warning is ours to handle
        for length in (1, 2, 255, 408, 409, 410, 511, 512, 513, 2000, 6000):
            with pytest.raises(ClipFailure) as failure:
                stoi(noise[:length], noise[:length])
            assert failure.value.kind is FailureKind.TOO_SHORT
        assert stoi(noise, noise) == pytest.approx(1)


def test_a_mostly_silent_reference_is_too_short(sample) -> None:
    blip = np.zeros(32_000, np.float32)
    blip[16_000:18_000] = np.random.default_rng(0).standard_normal(2000) * 0.1
    [outcome] = STOI(MetricOptions()).score([sample(blip, blip)])
    assert isinstance(outcome, ClipFailure)
    assert outcome.kind is FailureKind.TOO_SHORT


def test_silence_and_other_durations_are_failures(speechlike, sample) -> None:
    audio = speechlike(1.0)
    batch = [sample(audio * 0, audio), sample(audio, audio * 0), sample(audio, speechlike(1.2)), sample(audio, audio)]
    outcomes = STOI(MetricOptions()).score(batch)
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, ClipFailure)]
    assert kinds == [FailureKind.SILENT, FailureKind.SILENT, FailureKind.DURATION_MISMATCH]
    assert isinstance(outcomes[3], Scores)


def test_unequal_lengths_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="10 and 11"):
        stoi(np.zeros(10, np.float32), np.zeros(11, np.float32))


def test_a_batch_equals_one_by_one_in_any_order(speechlike, sample) -> None:
    batch = [sample(speechlike(1.0, pitch=100 + 30 * i, seed=i), speechlike(1.0)) for i in range(3)]
    metric = STOI(MetricOptions())
    together = metric.score(batch)
    assert [metric.score([one])[0] for one in batch] == together
    assert metric.score(batch[::-1])[::-1] == together


@pytest.mark.parametrize("lag", [-3200, -640, 0, 160, 3200])
def test_a_shift_is_found(speechlike, lag: int) -> None:
    real = speechlike(2.0)
    shifted = np.roll(real, lag)
    assert best_shift(shifted, real) == lag


def test_alignment_removes_a_shift_and_reports_it(speech, sample) -> None:
    real = speech("LJ001-0002")
    late = np.concatenate([np.zeros(640, np.float32), real])[: len(real)]  # 40 ms
    [plain] = STOI(MetricOptions()).score([sample(late, real)])
    [aligned] = STOI(MetricOptions(settings={"align": "xcorr"})).score([sample(late, real)])
    assert isinstance(plain, Scores)
    assert isinstance(aligned, Scores)
    assert plain.values["stoi"] < 0.6
    assert aligned.values["stoi"] > 0.999
    assert aligned.detail == {"lag_ms": 40.0}


def test_alignment_has_its_own_signature() -> None:
    plain, aligned = STOI(MetricOptions()), STOI(MetricOptions(settings={"align": "xcorr"}))
    assert "|align:none|" in plain.signature
    assert "|align:xcorr-200ms|" in aligned.signature
    with pytest.raises(F2VError, match="Known: none, xcorr"):
        STOI(MetricOptions(settings={"align": "dtw"}))
