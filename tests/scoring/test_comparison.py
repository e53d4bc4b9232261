from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, false_discovery_control, permutation_test

from f2v_bench.metrics.aggregation import MIN_CLUSTERS, UnitSums, sum_units
from f2v_bench.scoring.comparison import (
    ALPHA,
    COVERAGE_FLOOR,
    ClipScores,
    ColumnRanking,
    common_clips,
    difference,
    holm,
    permutation_p,
    permutations_for,
    rank,
)

Array = NDArray[np.float64]


def scores(values: Array, weights: Array | None = None, expected: int | None = None) -> ClipScores:
    weight = np.ones(len(values)) if weights is None else weights
    pairs = {f"c{at:04d}": (float(v), float(w)) for at, (v, w) in enumerate(zip(values, weight, strict=True))}
    return ClipScores(pairs, len(values) if expected is None else expected)


def one_speaker(count: int) -> dict[str, str]:
    return {f"c{at:04d}": "somebody" for at in range(count)}


def sums(values: Array, weights: Array | None = None, aggregate: str = "mean") -> UnitSums:
    weight = np.ones(len(values)) if weights is None else weights
    return sum_units(values.tolist(), weight.tolist(), ["somebody"] * len(values), aggregate)


def test_p_is_scipys_exact_p() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 11), rng.normal(0, 1, 11)
    theirs = permutation_test(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), permutation_type="samples", n_resamples=np.inf
    )
    assert 0.01 < theirs.pvalue < 0.9
    assert permutation_p(sums(a), sums(b)) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_drawn_p_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.6, 1, 13), rng.normal(0, 1, 13)
    exact = permutation_p(sums(a), sums(b))
    drawn = permutation_p(sums(a), sums(b), permutations=8_000)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=3.5 * math.sqrt(exact / 8_000))


def test_a_ratio_swaps_its_two_sums_together() -> None:
    # 2^3 permutations of (edits, words), by hand: |9/30 - 3/30| = 0.2 is reached by no swap and by all three
    ours = UnitSums(np.array([4.0, 3, 2]), np.array([10.0, 10, 10]), False, "clips")
    theirs = UnitSums(np.array([1.0, 1, 1]), np.array([10.0, 10, 10]), False, "clips")
    assert permutation_p(ours, theirs) == pytest.approx(2 / 8)


def test_ratios_agree_with_scipy_on_indices() -> None:
    rng = np.random.default_rng(2)
    words = rng.integers(3, 9, (2, 10)).astype(float)
    edits = rng.binomial(words.astype(int), [[0.5], [0.3]]).astype(float)
    tops, bottoms = edits.ravel(), words.ravel()

    def gap(i: NDArray[np.int64], j: NDArray[np.int64], axis: int) -> Array:
        sides = [tops[k].sum(axis) / bottoms[k].sum(axis) for k in (i, j)]
        return np.asarray(sides[0] - sides[1])

    index = np.arange(20)
    theirs = permutation_test((index[:10], index[10:]), gap, permutation_type="samples", n_resamples=np.inf)
    ours = permutation_p(*(sums(edits[k] / words[k], words[k], "ratio") for k in (0, 1)))
    assert ours == pytest.approx(theirs.pvalue, abs=1e-12)


def test_equal_systems_have_p_one_and_no_difference() -> None:
    values = np.random.default_rng(3).random(40)
    found = difference(scores(values), scores(values), one_speaker(40), "mean")
    assert found is not None
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_five_clips_can_separate_nothing() -> None:
    assert permutation_p(sums(np.arange(5.0) + 10), sums(np.arange(5.0))) == pytest.approx(2 / 32)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_the_order_of_the_two_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T
    p = permutation_p(sums(a), sums(b))
    assert 0 < p <= 1
    assert permutation_p(sums(b), sums(a)) == pytest.approx(p)


def test_differences_are_taken_on_common_clips() -> None:
    ours, theirs = scores(np.array([1.0, 2, 3, 4]), expected=6), scores(np.array([1.0, 1, 1]), expected=6)
    found = difference(ours, theirs, one_speaker(4), "mean")
    assert found is not None
    assert (found.ours, found.theirs, found.value, found.clips) == (2.0, 1.0, 1.0, 3)
    assert common_clips([ours, theirs]) == ["c0000", "c0001", "c0002"]
    assert difference(ours, ClipScores({"z": (1.0, 1.0)}, 6), one_speaker(4), "mean") is None


def test_pairing_cancels_how_hard_a_clip_is() -> None:
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 10, 60)
    found = difference(
        scores(hard + 0.3 + rng.normal(0, 0.1, 60)), scores(hard + rng.normal(0, 0.1, 60)), one_speaker(60), "mean"
    )
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.3 < found.high
    assert found.high - found.low < 0.15
    assert found.p < 0.001


@pytest.mark.parametrize("aggregate", ["ratio", "rms"])
def test_other_aggregates_are_recomputed_in_every_resample(aggregate: str) -> None:
    rng = np.random.default_rng(5)
    weights, a, b = rng.integers(1, 30, 50).astype(float), rng.random(50), rng.random(50)
    found = difference(scores(a, weights), scores(b, weights), one_speaker(50), aggregate)
    assert found is not None
    power = 2 if aggregate == "rms" else 1
    means = [float(np.average(x**power, weights=weights) ** (1 / power)) for x in (a, b)]
    assert found.value == pytest.approx(means[0] - means[1])
    # the delta method gives the standard error of each aggregate of a pair
    parts = [(x**power - m**power) * weights / weights.sum() * m ** (1 - power) / power
             for x, m in zip((a, b), means, strict=True)]  # fmt: skip
    half = 1.96 * math.sqrt(50 * np.var(parts[0] - parts[1], ddof=1))
    assert found.low == pytest.approx(found.value - half, abs=0.25 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.25 * half)


def test_clusters_widen_the_interval_and_raise_p() -> None:
    rng = np.random.default_rng(6)
    speakers = np.repeat(np.arange(MIN_CLUSTERS), 20)
    gap = 0.4 + rng.normal(0, 1, MIN_CLUSTERS)[speakers] + rng.normal(0, 0.1, len(speakers))
    ours, theirs = scores(gap), scores(np.zeros(len(speakers)))
    names = {clip: f"s{number}" for clip, number in zip(ours.values, speakers, strict=True)}
    honest = difference(ours, theirs, names, "mean")
    naive = difference(ours, theirs, one_speaker(len(speakers)), "mean")
    assert honest is not None
    assert naive is not None
    assert (honest.units, honest.count, naive.units, naive.count) == ("speakers", MIN_CLUSTERS, "clips", len(speakers))
    assert honest.low is not None
    assert honest.high is not None
    assert naive.low is not None
    assert naive.high is not None
    assert honest.high - honest.low > 2 * (naive.high - naive.low)
    assert honest.p > 10 * naive.p


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and never less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_uncorrected_and_bonferroni(ps: list[float]) -> None:
    adjusted = holm(ps)
    for p, corrected in zip(ps, adjusted, strict=True):
        assert p <= corrected <= min(1, p * len(ps)) + 1e-12
    benjamini = false_discovery_control(ps)
    assert all(ours >= theirs - 1e-12 for ours, theirs in zip(adjusted, benjamini, strict=True))


def test_false_positives_on_null_data_are_as_many_as_stated() -> None:
    rng = np.random.default_rng(7)
    hits, trials = 0, 400
    for _ in range(trials):
        hard = rng.normal(0, 1, 20)
        a, b = hard + rng.exponential(1, 20), hard + rng.exponential(1, 20)
        hits += permutation_p(sums(a), sums(b), 999) < ALPHA
    assert binomtest(hits, trials, ALPHA).pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize(("aggregate", "count"), [("mean", 40), ("ratio", 60)])
def test_intervals_cover_the_truth_as_often_as_stated(aggregate: str, count: int) -> None:
    rng = np.random.default_rng(8)
    hits, trials = 0, 1000
    for _ in range(trials):
        words = rng.integers(4, 10, count)
        hard = rng.beta(2, 5, count)
        rates = [rng.binomial(words, np.clip(hard + shift, 0, 1)) / words for shift in (0.1, 0.0)]
        found = difference(
            *(scores(rate, words.astype(float)) for rate in rates), one_speaker(count), aggregate, permutations=1
        )
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= _TRUE_GAP <= found.high
    assert 0.92 <= hits / trials <= 0.97


_TRUE_GAP = float(np.mean(np.clip(np.random.default_rng(9).beta(2, 5, 10**6) + 0.1, 0, 1))) - 2 / 7


def ranking(higher_is_better: bool = True, **systems: ClipScores) -> ColumnRanking:
    return ColumnRanking("col", higher_is_better, "mean", systems)


def noisy(level: float, seed: int, count: int = 50) -> Array:
    return level + np.random.default_rng(seed).normal(0, 1, count)


def test_the_best_and_what_no_test_separates_from_it_lead() -> None:
    table = {"good": scores(noisy(2, 0)), "alike": scores(noisy(2, 1)), "bad": scores(noisy(0, 2))}
    found = rank([ranking(**table)], one_speaker(50))
    assert found.leaders == {("good", "col"), ("alike", "col")}
    assert (found.tests, found.units, found.uncovered) == (2, {"clips"}, frozenset())
    upside_down = rank([ranking(higher_is_better=False, **table)], one_speaker(50))
    assert upside_down.leaders == {("bad", "col")}


def test_missing_clips_win_nothing() -> None:
    lucky = scores(noisy(9, 0, 49)[:40], expected=50)
    found = rank([ranking(lucky=lucky, full=scores(noisy(0, 1)), other=scores(noisy(-3, 2)))], one_speaker(50))
    assert found.leaders == {("full", "col")}
    assert found.uncovered == {("lucky", "col")}
    assert lucky.coverage < COVERAGE_FLOOR


def test_one_system_or_too_few_clips_have_no_leader() -> None:
    assert not rank([ranking(alone=scores(noisy(0, 0)))], one_speaker(50)).leaders
    few = rank([ranking(a=scores(np.arange(5.0)), b=scores(np.arange(5.0) + 9))], one_speaker(5))
    assert not few.leaders
    assert few.tests == 0


def test_the_correction_spans_the_table() -> None:
    a, b = scores(noisy(0, 0)), scores(noisy(0, 0) - 0.3 - np.random.default_rng(1).normal(0, 0.8, 50))
    uncorrected = difference(a, b, one_speaker(50), "mean")
    assert uncorrected is not None
    assert 0.001 < uncorrected.p < ALPHA
    assert rank([ranking(a=a, b=b)], one_speaker(50)).leaders == {("a", "col")}
    many = [
        ColumnRanking(f"col{n}", True, "mean", {"a": a, "b": b})
        for n in range(math.ceil(2 * ALPHA / uncorrected.p) + 1)
    ]
    assert len(rank(many, one_speaker(50)).leaders) == 2 * len(many)


def test_the_best_of_many_systems_is_found_with_few_speakers() -> None:
    systems = {f"s{n}": scores(noisy(3 * (n == 0), n, 12)) for n in range(8)}
    table = [ColumnRanking(f"col{n}", True, "mean", systems) for n in range(7)]
    found = rank(table, one_speaker(12))
    assert found.leaders == {("s0", one.column) for one in table}
    assert found.tests == 49
    larger = [ColumnRanking(f"col{n}", True, "mean", systems) for n in range(30)]  # 210 / 2^12 is above 5 %
    nothing = rank(larger, one_speaker(12))
    assert not nothing.leaders
    assert nothing.unresolved == {one.column for one in larger}


def test_the_best_is_dropped_as_seldom_as_stated() -> None:
    """Under three columns one of three systems is slightly better than its equals."""
    rng = np.random.default_rng(0)
    dropped, alone, trials = 0, 0, 300
    for _ in range(trials):
        made = rng.normal(0, 1, (3, 3, 10)) + 0.3 * (np.arange(3) == 0)[None, :, None]
        table = [
            ColumnRanking(f"col{at}", True, "mean", {f"s{n}": scores(one) for n, one in enumerate(column)})
            for at, column in enumerate(made)
        ]
        leaders = rank(table, one_speaker(10)).leaders
        dropped += any(("s0", one.column) not in leaders for one in table)
        alone += len(leaders) < 9
    assert dropped / trials <= 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5
    assert alone > 0


def test_a_large_table_can_still_separate() -> None:
    tests = 2_000
    assert tests / (1 + permutations_for(tests)) < ALPHA
