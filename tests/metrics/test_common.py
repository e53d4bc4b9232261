from __future__ import annotations

import numpy as np
import pytest

from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.base import MetricOptions, Scores, per_clip


def sine(level_db: float, n: int = 16_000) -> np.ndarray:
    """Return a tone whose RMS is ``level_db`` dBFS."""
    return (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * 200 * np.arange(n) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("level", [-70.0, -40.0, -6.0])
def test_peak_level_is_the_rms_of_the_loudest_20_ms(level: float) -> None:
    assert common.peak_level(sine(level)) == pytest.approx(level, abs=0.05)
    padded = np.concatenate([np.zeros(32_000, np.float32), sine(level)])
    assert common.peak_level(padded) == pytest.approx(level, abs=0.05)


def test_silence_has_a_threshold_and_ignores_an_offset() -> None:
    common.require_sound(sine(-59.5), "audio")
    for silent in (sine(-60.5), np.zeros(1, np.float32), np.full(16_000, 0.5, np.float32)):
        with pytest.raises(ClipFailure, match="the reference's loudest 20 ms") as failure:
            common.require_sound(silent, "reference")
        assert failure.value.kind is FailureKind.SILENT


def test_pairs_are_cut_to_the_shorter_within_100_ms(speechlike, sample) -> None:
    long, short = speechlike(2.0), speechlike(1.9)
    audio, reference = common.aligned_pair(sample(long, short))
    assert len(audio) == len(reference) == len(short)
    for a, b in ((long, speechlike(1.8999)), (speechlike(1.8999), long)):
        with pytest.raises(ClipFailure, match="100 ms apart") as failure:
            common.aligned_pair(sample(a, b))
        assert failure.value.kind is FailureKind.DURATION_MISMATCH


def test_a_pair_needs_a_reference(speechlike, sample) -> None:
    with pytest.raises(ClipFailure) as failure:
        common.aligned_pair(sample(speechlike()))
    assert failure.value.kind is FailureKind.NO_AUDIO


def test_one_failure_leaves_the_others_alone(speechlike, sample) -> None:
    failure = ClipFailure(FailureKind.TOO_SHORT, "because")

    def score(one: object) -> Scores:
        if one is batch[1]:
            raise failure
        return Scores({"x": 1.0})

    batch = [sample(speechlike()) for _ in range(3)]
    assert per_clip(batch, score) == [Scores({"x": 1.0}), failure, Scores({"x": 1.0})]


def test_settings_default_to_the_first_value_and_refuse_others() -> None:
    allowed = {"mode": ("plain", "fancy")}
    assert common.parse_settings(MetricOptions(), "m", allowed) == {"mode": "plain"}
    assert common.parse_settings(MetricOptions(settings={"mode": "fancy"}), "m", allowed) == {"mode": "fancy"}
    with pytest.raises(F2VError, match="did you mean 'mode'"):
        common.parse_settings(MetricOptions(settings={"mood": "fancy"}), "m", allowed)
    with pytest.raises(F2VError, match="did you mean 'fancy'"):
        common.parse_settings(MetricOptions(settings={"mode": "fancier"}), "m", allowed)


def test_earlier_names_of_settings_are_read() -> None:
    allowed, renamed = {"color": ("red", "blue")}, {"hue": "color"}
    for name in ("color", "hue"):
        options = MetricOptions(settings={name: "blue"})
        assert common.parse_settings(options, "m", allowed, renamed) == {"color": "blue"}
    with pytest.raises(F2VError, match="no value of m's setting 'color'"):
        common.parse_settings(MetricOptions(settings={"hue": "blew"}), "m", allowed, renamed)


def test_threads_follow_the_pool_that_sets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert common.usable_threads() == 3
    for unusable in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", unusable)
        assert common.usable_threads() >= 1
