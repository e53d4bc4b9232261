"""Paired comparison of systems: differences, intervals, p-values, and the sets of best systems.

Two systems are compared on the clips that both have a value for, in pairs, so that the difficulty of a clip cancels.
The interval is a paired BCa bootstrap of the difference (Efron and Tibshirani 1993). The p-value is that of a paired
permutation test: for equal systems, swapping their names on a clip changes nothing (Good 2005). Both work on sums, so
that a mean, a corpus ratio and a pooled root mean square are recomputed in each resample. Both take speakers for units
where there are enough of them, as ``statistics`` does. All p-values of one comparison are corrected together (Holm
1979). The leaders of a column are a set that holds the best system with 95 % confidence (Hsu 1981).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2v_bench.metrics.aggregation import UnitSums, reduce_sums, sum_units
from f2v_bench.scoring.statistics import bca_interval

PERMUTATIONS = 9_999  # drawn where more exist; fewer are all enumerated
ALPHA = 0.05  # error rate of a whole table
COVERAGE_FLOOR = 0.99  # share of the expected clips: below it, the missing clips may decide the order
MIN_UNITS_TO_SEPARATE = 6  # five pairs of one sign have p = 2/32: no test can reach 5 %
_CHUNK = 2048  # permutations per matrix product
_TIE = 1e-10  # relative: smaller differences come from the order of additions


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Clip values of one system in one column.

    Attributes:
        values: clip id to value and weight, scored clips only.
        expected: number of clips that should have a value.
    """

    values: Mapping[str, tuple[float, float]]
    expected: int

    @property
    def coverage(self) -> float:
        """Share of the expected clips that have a value, 0 to 1."""
        return len(self.values) / self.expected if self.expected else 0.0

    def select(self, clips: Iterable[str]) -> ClipScores:
        """Return the values of the given clips, all of which are expected."""
        wanted = set(clips)
        return ClipScores({clip: pair for clip, pair in self.values.items() if clip in wanted}, len(wanted))


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of two systems on their common clips.

    Attributes:
        ours, theirs: aggregates of the two.
        value: ``ours - theirs``.
        low, high: 95 % interval of the difference, or None where there are too few units.
        p: two-sided p-value of the paired permutation test, uncorrected.
        clips: number of common clips.
        units: resampled and permuted units, ``clips`` or ``speakers``.
        count: number of units.
    """

    ours: float
    theirs: float
    value: float
    low: float | None
    high: float | None
    p: float
    clips: int
    units: str
    count: int


def common_clips(scores: Iterable[ClipScores]) -> list[str]:
    """Return the clips that all systems have a value for, sorted."""
    sets = [set(one.values) for one in scores]
    return sorted(set.intersection(*sets)) if sets else []


def difference(
    ours: ClipScores,
    theirs: ClipScores,
    speakers: Mapping[str, str],
    aggregate: str,
    permutations: int = PERMUTATIONS,
) -> Difference | None:
    """Compare two systems on their common clips.

    Args:
        ours: clip values of one system.
        theirs: clip values of the other, which is subtracted.
        speakers: clip id to speaker or talk.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        permutations: number of permutations, see ``permutation_p``.

    Returns:
        Difference, or None where there is no common clip with a positive weight.
    """
    clips = common_clips((ours, theirs))
    if not clips:
        return None
    a, b = (_sums(one, clips, speakers, aggregate) for one in (ours, theirs))
    if a.value is None or b.value is None:
        return None
    value = a.value - b.value
    low, high = bca_interval(
        (a.numerators, a.denominators, b.numerators, b.denominators),
        lambda an, ad, bn, bd, axis=-1: (
            reduce_sums(an, ad, a.takes_root, axis) - reduce_sums(bn, bd, b.takes_root, axis)
        ),
        value,
    )
    p = permutation_p(a, b, permutations)
    return Difference(a.value, b.value, value, low, high, p, len(clips), a.unit, len(a.numerators))


def _sums(scores: ClipScores, clips: Sequence[str], speakers: Mapping[str, str], aggregate: str) -> UnitSums:
    values, weights = zip(*(scores.values[clip] for clip in clips), strict=True)
    return sum_units(values, weights, [speakers[clip] for clip in clips], aggregate)


def permutation_p(ours: UnitSums, theirs: UnitSums, permutations: int = PERMUTATIONS) -> float:
    """Return the two-sided p-value of a paired permutation test of two aggregates; see ``permutation_ps``."""
    return permutation_ps([(ours, theirs)], permutations)[0]


def permutation_ps(pairs: Sequence[tuple[UnitSums, UnitSums]], permutations: int = PERMUTATIONS) -> list[float]:
    """Return the two-sided p-values of paired permutation tests of aggregates, one per pair.

    In each permutation the sums of every unit swap sides or stay; the statistic is the difference of the aggregates.
    ``scipy.stats.permutation_test(permutation_type="samples")`` does the same for single values. In a ratio the two
    sums of a unit swap together, and with sums the test is one matrix product for all pairs.

    Args:
        pairs: sums of two systems over the same units, in the same order; at least one pair, one aggregate for all.
        permutations: number of permutations drawn (fixed seed) where ``2 ** units`` is larger.

    Returns:
        p-values in (0, 1]: the observed order counts as one of the permutations.
    """
    sums = np.array(  # (pairs, 2 sides, 2 sums, units)
        [[[side.numerators, side.denominators] for side in pair] for pair in pairs]
    )
    moves = sums[:, 1] - sums[:, 0]
    totals = sums.sum(axis=-1, keepdims=True)

    def aggregates(side: int, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        permuted = totals[:, side] + moved  # (pairs, 2 sums, permutations)
        ratio: NDArray[np.float64] = permuted[:, 0] / permuted[:, 1]
        return np.sqrt(ratio) if pairs[0][0].takes_root else ratio

    def count_extreme(swaps: NDArray[np.int8]) -> NDArray[np.int64]:
        moved = moves @ swaps.T.astype(np.float64)
        gap = np.abs(aggregates(0, moved) - aggregates(1, -moved))
        counts: NDArray[np.int64] = (gap >= observed).sum(axis=1)
        return counts

    no_move = np.zeros((*moves.shape[:2], 1))
    ours, theirs = aggregates(0, no_move), aggregates(1, no_move)
    observed = np.abs(ours - theirs) - _TIE * np.maximum(np.abs(ours), np.abs(theirs))  # (pairs, 1)
    units = sums.shape[-1]
    if units <= math.log2(permutations + 1):
        all_swaps = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
        return [float(count) / 2**units for count in count_extreme(all_swaps.astype(np.int8))]
    rng = np.random.default_rng(0)
    counts = sum(count_extreme(rng.integers(0, 2, (size, units), np.int8)) for size in _chunk_sizes(permutations))
    return [float(1 + count) / (1 + permutations) for count in np.atleast_1d(counts)]


def _chunk_sizes(total: int) -> list[int]:
    return [min(_CHUNK, total - start) for start in range(0, total, _CHUNK)]


def permutations_for(tests: int) -> int:
    """Return the permutations for a family of tests: the smallest p must stay significant after the correction."""
    return max(PERMUTATIONS, 2 * math.ceil(tests / ALPHA))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values with Holm's step-down adjustment, to compare with the error rate of the whole family.

    Args:
        p_values: p-values of all tests of the family, in any order.

    Returns:
        Adjusted p-values in the same order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors))
    adjusted = np.empty(len(p_values))
    adjusted[order] = stepped
    return [float(p) for p in adjusted]


@dataclass(frozen=True, slots=True)
class ColumnRanking:
    """Ranked systems of one column of a table.

    Attributes:
        column: column name.
        higher_is_better: direction.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        scores: system label to clip values, without reference systems.
    """

    column: str
    higher_is_better: bool
    aggregate: str
    scores: Mapping[str, ClipScores]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Values to print bold, and the reasons for values that are not ranked.

    Attributes:
        leaders: system label and column of the best values and of those that no test separates from them.
        tests: comparisons that the correction spans: one fewer than its systems for each column.
        units: permuted units.
        unresolved: columns without leaders, because their units are too few for a table of this size.
        uncovered: label and column of values that are not ranked because too many clips are missing.
    """

    leaders: frozenset[tuple[str, str]]
    tests: int
    units: frozenset[str]
    unresolved: frozenset[str]
    uncovered: frozenset[tuple[str, str]]


def rank(
    columns: Sequence[ColumnRanking], speakers: Mapping[str, str], coverage_floor: float = COVERAGE_FLOOR
) -> Ranking:
    """Find the best systems of each column, and those that are not separable from them.

    A system leads unless any other one is better beyond chance. The leaders are then a set that holds the best system
    with 95 % confidence, over all columns together (Hsu, "Simultaneous confidence intervals for all distances from the
    'best'", Annals of Statistics, 1981). The best system can only be dropped by a one-sided test against one of the
    others; the correction (Bonferroni's) has to span these tests alone, though every pair is tested. Systems of a
    column are compared on the clips that all of its ranked systems have.

    Args:
        columns: columns of one table.
        speakers: clip id to speaker or talk.
        coverage_floor: coverage below which a value is not ranked, 0 to 1.
    """
    uncovered = {
        (label, column.column)
        for column in columns
        for label, scores in column.scores.items()
        if scores.coverage < coverage_floor
    }
    ranked: list[tuple[ColumnRanking, dict[str, UnitSums]]] = []
    for column in columns:
        covered = {label: s for label, s in column.scores.items() if (label, column.column) not in uncovered}
        clips = common_clips(covered.values())
        sums = {label: _sums(s, clips, speakers, column.aggregate) for label, s in covered.items()} if clips else {}
        sums = {label: system for label, system in sums.items() if system.value is not None}
        if len(sums) > 1 and _unit_count(sums) >= MIN_UNITS_TO_SEPARATE:
            ranked.append((column, sums))
    tests = sum(len(sums) - 1 for _, sums in ranked)
    leaders: set[tuple[str, str]] = set()
    unresolved: set[str] = set()
    for column, sums in ranked:
        if tests / 2 ** _unit_count(sums) >= ALPHA:
            unresolved.add(column.column)
            continue
        pairs = list(itertools.combinations(sums, 2))
        p_values = permutation_ps([(sums[a], sums[b]) for a, b in pairs], permutations_for(tests))
        beaten = {
            _worse(pair, sums, column)
            for pair, p in zip(pairs, p_values, strict=True)
            if p / 2 * tests < ALPHA  # one-sided: swapped names mirror the differences
        }
        leaders.update((label, column.column) for label in sums if label not in beaten)
    units = frozenset(system.unit for _, sums in ranked for system in sums.values())
    return Ranking(frozenset(leaders), tests, units, frozenset(unresolved), frozenset(uncovered))


def _unit_count(sums: Mapping[str, UnitSums]) -> int:
    return len(next(iter(sums.values())).numerators)


def _worse(pair: tuple[str, str], sums: Mapping[str, UnitSums], column: ColumnRanking) -> str:
    return (min if column.higher_is_better else max)(pair, key=lambda label: sums[label].value or 0.0)
