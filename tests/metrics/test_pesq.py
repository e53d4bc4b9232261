from __future__ import annotations

import numpy as np
import pytest
from pesq import pesq as p862

from f2v_bench.errors import ClipFailure, FailureKind
from f2v_bench.metrics.base import MetricOptions, Scores
from f2v_bench.metrics.pesq import PESQ, pesq


def test_golden_values_on_jfk(jfk_pair, sample) -> None:
    [scores] = PESQ(MetricOptions()).score([sample(*jfk_pair)])
    assert isinstance(scores, Scores)
    assert scores.values == pytest.approx({"pesq_wb": 1.16264, "pesq_nb": 2.04989}, abs=5e-5)


def test_golden_values_on_versas_pair(versa_pair, sample) -> None:
    [scores] = PESQ(MetricOptions()).score([sample(*versa_pair)])
    assert isinstance(scores, Scores)
    assert scores.values == pytest.approx({"pesq_wb": 1.5722705, "pesq_nb": 2.12741}, abs=5e-6)


@pytest.mark.parametrize("band", ["wb", "nb"])
@pytest.mark.parametrize("number", range(1, 7))
def test_equals_the_package_on_real_pairs(speech, number: int, band: str) -> None:
    noisy, clean = speech(f"p287_00{number}_noisy"), speech(f"p287_00{number}_clean")
    assert pesq(noisy, clean, band) == p862(16_000, clean, noisy, band)  # type: ignore[arg-type]


def test_identical_audio_is_perfect_at_any_gain(speechlike, sample) -> None:
    audio = speechlike(3.0)
    for gain in (1.0, 0.1):
        [scores] = PESQ(MetricOptions()).score([sample(audio * np.float32(gain), audio)])
        assert isinstance(scores, Scores)
        assert scores.values == pytest.approx({"pesq_wb": 4.644, "pesq_nb": 4.549}, abs=0.02)


def test_what_cannot_be_scored_has_a_name(speechlike, sample) -> None:
    audio = speechlike(1.0)
    late = np.concatenate([np.zeros(15_000, np.float32), audio[:1000]])  # not silent, but no utterance either
    expected = [
        (sample(audio * 0, audio), FailureKind.SILENT),
        (sample(audio, audio * 0), FailureKind.SILENT),
        (sample(audio[:3000], audio[:3000]), FailureKind.TOO_SHORT),
        (sample(audio, late), FailureKind.NO_UTTERANCE),
        (sample(audio, speechlike(1.2)), FailureKind.DURATION_MISMATCH),
        (sample(audio), FailureKind.NO_AUDIO),
    ]
    outcomes = PESQ(MetricOptions()).score([one for one, _ in expected])
    assert [o.kind if isinstance(o, ClipFailure) else o for o in outcomes] == [kind for _, kind in expected]


def test_a_silent_degraded_array_is_a_failure_not_a_value_error(speechlike) -> None:
    audio = speechlike(1.0)
    with pytest.raises(ClipFailure) as failure:
        pesq(audio * 0, audio, "wb")
    assert failure.value.kind is FailureKind.SILENT


def test_a_batch_equals_one_by_one_in_any_order(speechlike, sample) -> None:
    batch = [sample(speechlike(1.0, pitch=100 + 30 * i, seed=i), speechlike(1.0)) for i in range(3)]
    metric = PESQ(MetricOptions())
    together = metric.score(batch)
    assert [metric.score([one])[0] for one in batch] == together
    assert metric.score(batch[::-1])[::-1] == together
