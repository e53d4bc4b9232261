from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from f2v_bench.metrics.aggregation import MIN_CLUSTERS
from f2v_bench.scoring.statistics import estimate

values = st.lists(st.floats(0, 100), min_size=1, max_size=30)


def alone(count: int) -> list[str]:
    return ["one speaker"] * count


@given(values)
def test_a_mean_is_a_mean(xs: list[float]) -> None:
    found = estimate(xs, [7.0] * len(xs), alone(len(xs)), "mean", len(xs) + 2)
    assert found.value == pytest.approx(np.mean(xs))
    assert (found.scored, found.expected) == (len(xs), len(xs) + 2)


def test_corpus_wer_is_edits_over_words_not_the_mean_of_clips() -> None:
    # 2 edits in 2 words, 1 in 9: 27.3 % of the corpus, 55.6 % on average
    found = estimate([2 / 2, 1 / 9], [2, 9], alone(2), "ratio", 2)
    assert found.value == pytest.approx(3 / 11)


def test_pooled_rms_weighs_frames() -> None:
    found = estimate([3.0, 4.0], [100, 300], alone(2), "rms", 2)
    assert found.value == pytest.approx(np.sqrt((100 * 9 + 300 * 16) / 400))


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    xs, ws = rng.random(40).tolist(), rng.integers(1, 9, 40).tolist()
    turn = rng.permutation(40)
    one = estimate(xs, ws, alone(40), "ratio", 40)
    two = estimate([xs[i] for i in turn], [ws[i] for i in turn], alone(40), "ratio", 40)
    assert two.value == pytest.approx(one.value)
    assert two.low == pytest.approx(one.low, abs=0.02)


def test_the_interval_of_a_normal_mean_is_students() -> None:
    xs = np.random.default_rng(1).normal(5, 2, 200)
    found = estimate(xs.tolist(), [1.0] * 200, alone(200), "mean", 200)
    half = student.ppf(0.975, 199) * xs.std(ddof=1) / np.sqrt(200)
    assert found.low == pytest.approx(xs.mean() - half, abs=0.06)
    assert found.high == pytest.approx(xs.mean() + half, abs=0.06)
    assert found.units == "clips"


def test_clips_of_one_speaker_are_not_independent() -> None:
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(MIN_CLUSTERS), 20)
    xs = (rng.normal(0, 3, MIN_CLUSTERS)[speakers] + rng.normal(0, 0.1, len(speakers))).tolist()
    names = [f"s{number}" for number in speakers]
    honest = estimate(xs, [1.0] * len(xs), names, "mean", len(xs))
    naive = estimate(xs, [1.0] * len(xs), alone(len(xs)), "mean", len(xs))
    assert honest.units == "speakers"
    assert honest.value == pytest.approx(naive.value)
    assert honest.high is not None
    assert honest.low is not None
    assert naive.high is not None
    assert naive.low is not None
    assert honest.high - honest.low > 2 * (naive.high - naive.low)


@pytest.mark.parametrize("xs", [[1.0], [1.0, 2.0]])
def test_too_few_clips_have_no_interval(xs: list[float]) -> None:
    found = estimate(xs, [1.0] * len(xs), alone(len(xs)), "mean", 3)
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def test_clips_that_all_agree_have_an_interval_of_no_width() -> None:
    found = estimate([2.0] * 5, [1.0] * 5, alone(5), "mean", 5)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)


def test_nothing_scored_is_no_number() -> None:
    assert estimate([], [], [], "mean", 4).value is None
    assert estimate([0.0], [0.0], ["a"], "ratio", 4).value is None
