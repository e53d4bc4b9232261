"""Whether two systems differ: paired differences, their intervals, p-values, and what may be called best.

Two systems are compared on the clips that both have a value for, in pairs: a clip's difficulty then cancels. The
interval is a paired BCa bootstrap of the difference (Efron and Tibshirani 1993), the p-value that of a paired
permutation test: were the two systems alike, swapping their names on any clip would change nothing (Good 2005). Both
work on sums, so that a mean, a corpus ratio and a pooled root mean square are recomputed in every resample, and both
take speakers for units where there are enough of them, as ``statistics`` does. All p-values of one
comparison are corrected together (Holm 1979); what is best in a table is a set that holds the best system with 95 %
confidence (Hsu 1981).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2v_bench.metrics.aggregation import Sums, quotient, unit_sums
from f2v_bench.scoring.statistics import bca_interval

PERMUTATIONS = 9_999  # drawn where there are more than that; with fewer, every one is tried
ALPHA = 0.05  # error rate of a whole table
COVERAGE_FLOOR = 0.99  # of the expected clips: below it, what is missing may decide the order
MIN_UNITS_TO_SEPARATE = 6  # five pairs that all point one way have p = 2/32: no test can reach 5 %
_CHUNK = 2048  # permutations at a time
_TIE = 1e-10  # relative: closer than this, two statistics are equal but for the order of additions


@dataclass(frozen=True, slots=True)
class ClipScores:
    """One system under one column.

    Attributes:
        values: clip id to value and weight, scored clips only.
        expected: clips that should have a value.
    """

    values: Mapping[str, tuple[float, float]]
    expected: int

    @property
    def coverage(self) -> float:
        """Share of the expected clips that have a value, 0 to 1."""
        return len(self.values) / self.expected if self.expected else 0.0

    def only(self, clips: Iterable[str]) -> ClipScores:
        """The same system on those clips alone."""
        wanted = set(clips)
        return ClipScores({clip: pair for clip, pair in self.values.items() if clip in wanted}, len(wanted))


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one system is from another, on the clips that both have.

    Attributes:
        ours, theirs: the aggregates of the two.
        value: ``ours - theirs``.
        low, high: its 95 % interval, or None where there are too few units for one.
        p: two-sided p-value of the paired permutation test, uncorrected.
        clips: how many are compared.
        units: what was resampled and permuted, ``clips`` or ``speakers``.
        count: how many of them.
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
    """The clips that all of them have a value for, sorted."""
    sets = [set(one.values) for one in scores]
    return sorted(set.intersection(*sets)) if sets else []


def difference(
    ours: ClipScores,
    theirs: ClipScores,
    speakers: Mapping[str, str],
    aggregate: str,
    permutations: int = PERMUTATIONS,
) -> Difference | None:
    """Compare two systems on the clips that both have.

    Args:
        ours: one system.
        theirs: the other, which is subtracted.
        speakers: clip id to speaker or talk.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        permutations: see ``permutation_p``.

    Returns:
        None where they share no clip that carries weight.
    """
    clips = common_clips((ours, theirs))
    if not clips:
        return None
    a, b = (_sums(one, clips, speakers, aggregate) for one in (ours, theirs))
    if a.value is None or b.value is None:
        return None
    value = a.value - b.value
    low, high = bca_interval(
        (a.tops, a.bottoms, b.tops, b.bottoms),
        lambda at, ab, bt, bb, axis=-1: quotient(at, ab, a.root, axis) - quotient(bt, bb, b.root, axis),
        value,
    )
    p = permutation_p(a, b, permutations)
    return Difference(a.value, b.value, value, low, high, p, len(clips), a.units, len(a.tops))


def _sums(scores: ClipScores, clips: Sequence[str], speakers: Mapping[str, str], aggregate: str) -> Sums:
    values, weights = zip(*(scores.values[clip] for clip in clips), strict=True)
    return unit_sums(values, weights, [speakers[clip] for clip in clips], aggregate)


def permutation_p(ours: Sums, theirs: Sums, permutations: int = PERMUTATIONS) -> float:
    """The two-sided p-value of a paired permutation test of two aggregates; see ``permutation_ps``."""
    return permutation_ps([(ours, theirs)], permutations)[0]


def permutation_ps(pairs: Sequence[tuple[Sums, Sums]], permutations: int = PERMUTATIONS) -> list[float]:
    """The two-sided p-values of paired permutation tests of aggregates, each pair by itself.

    In each permutation every unit's sums change sides or stay; the statistic is the difference of the aggregates.
    ``scipy.stats.permutation_test(permutation_type="samples")`` does the same for single values; a ratio needs the
    pair of its sums to move together, and sums make it one matrix product for all pairs.

    Args:
        pairs: sums of two systems over the same units, in the same order; at least one pair, one aggregate for all.
        permutations: how many are drawn (fixed seed) where trying all ``2 ** units`` would take more.

    Returns:
        Above 0, at most 1: the observed order counts as one of the permutations.
    """
    sums = np.array([[[one.tops, one.bottoms] for one in pair] for pair in pairs])  # (pairs, 2 sides, 2 sums, units)
    moves = sums[:, 1] - sums[:, 0]
    totals = sums.sum(axis=-1, keepdims=True)

    def aggregates(side: int, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        both = totals[:, side] + moved  # (pairs, 2 sums, permutations)
        ratio: NDArray[np.float64] = both[:, 0] / both[:, 1]
        return np.sqrt(ratio) if pairs[0][0].root else ratio

    def hits(swaps: NDArray[np.int8]) -> NDArray[np.int64]:
        moved = moves @ swaps.T.astype(np.float64)
        found: NDArray[np.int64] = (np.abs(aggregates(0, moved) - aggregates(1, -moved)) >= reached).sum(axis=1)
        return found

    still = np.zeros((*moves.shape[:2], 1))
    ours, theirs = aggregates(0, still), aggregates(1, still)
    reached = np.abs(ours - theirs) - _TIE * np.maximum(np.abs(ours), np.abs(theirs))  # (pairs, 1)
    units = sums.shape[-1]
    if units <= math.log2(permutations + 1):
        every = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
        return [float(count) / 2**units for count in hits(every.astype(np.int8))]
    rng = np.random.default_rng(0)
    counts = sum(hits(rng.integers(0, 2, (size, units), np.int8)) for size in _chunks(permutations))
    return [float(1 + count) / (1 + permutations) for count in np.atleast_1d(counts)]


def _chunks(total: int) -> list[int]:
    return [min(_CHUNK, total - start) for start in range(0, total, _CHUNK)]


def permutations_for(tests: int) -> int:
    """How many permutations a family of so many tests needs: its smallest p must outlive the correction."""
    return max(PERMUTATIONS, 2 * math.ceil(tests / ALPHA))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: compare each with the error rate of the whole family.

    Args:
        p_values: of all tests of the family, in any order.

    Returns:
        The adjusted p-values in the same order.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors))
    adjusted = np.empty(len(p_values))
    adjusted[order] = stepped
    return [float(p) for p in adjusted]


@dataclass(frozen=True, slots=True)
class ColumnRanking:
    """The systems of one table under one column.

    Attributes:
        column: its name.
        higher_is_better: its direction.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        scores: by system label, reference systems left out.
    """

    column: str
    higher_is_better: bool
    aggregate: str
    scores: Mapping[str, ClipScores]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What may be printed bold.

    Attributes:
        leaders: system label and column of the best values and of those that no test separates from them.
        tests: comparisons that the correction spans: for every column one fewer than its systems.
        units: what was permuted.
        unresolved: columns without leaders, because so few units cannot separate anything in a table of this size.
        uncovered: label and column of values that are not ranked because too many clips are missing.
    """

    leaders: frozenset[tuple[str, str]]
    tests: int
    units: frozenset[str]
    unresolved: frozenset[str]
    uncovered: frozenset[tuple[str, str]]


def rank(contests: Sequence[ColumnRanking], speakers: Mapping[str, str], floor: float = COVERAGE_FLOOR) -> Ranking:
    """The best systems of every column, and those not separable from them.

    A system leads unless another one is better beyond chance, whichever that is: the leaders are then a set that holds
    the truly best system with 95 % confidence, over all columns together (Hsu, "Simultaneous confidence intervals for
    all distances from the 'best'", Annals of Statistics, 1981). The truly best can only be dropped by a test of its own
    against one rival, in one direction; those are all that the correction (Bonferroni's) has to span, though every pair
    is tested. Systems of a column are compared on the clips that all of its ranked systems have.

    Args:
        contests: the columns of one table.
        speakers: clip id to speaker or talk.
        floor: coverage below which a value is not ranked, 0 to 1.
    """
    uncovered = {
        (label, contest.column)
        for contest in contests
        for label, scores in contest.scores.items()
        if scores.coverage < floor
    }
    fields: list[tuple[ColumnRanking, dict[str, Sums]]] = []
    for contest in contests:
        ranked = {label: s for label, s in contest.scores.items() if (label, contest.column) not in uncovered}
        clips = common_clips(ranked.values())
        sums = {label: _sums(s, clips, speakers, contest.aggregate) for label, s in ranked.items()} if clips else {}
        sums = {label: one for label, one in sums.items() if one.value is not None}
        if len(sums) > 1 and len(next(iter(sums.values())).tops) >= MIN_UNITS_TO_SEPARATE:
            fields.append((contest, sums))
    tests = sum(len(sums) - 1 for _, sums in fields)
    leaders: set[tuple[str, str]] = set()
    unresolved: set[str] = set()
    for contest, sums in fields:
        if tests / 2 ** len(next(iter(sums.values())).tops) >= ALPHA:
            unresolved.add(contest.column)
            continue
        pairs = list(itertools.combinations(sums, 2))
        p_values = permutation_ps([(sums[one], sums[other]) for one, other in pairs], permutations_for(tests))
        beaten = {
            _worse(pair, sums, contest)
            for pair, p in zip(pairs, p_values, strict=True)
            if p / 2 * tests < ALPHA  # of two directions one: swapped names mirror the differences
        }
        leaders.update((label, contest.column) for label in sums if label not in beaten)
    units = frozenset(one.units for _, sums in fields for one in sums.values())
    return Ranking(frozenset(leaders), tests, units, frozenset(unresolved), frozenset(uncovered))


def _worse(pair: tuple[str, str], sums: Mapping[str, Sums], contest: ColumnRanking) -> str:
    return (min if contest.higher_is_better else max)(pair, key=lambda label: sums[label].value or 0.0)
