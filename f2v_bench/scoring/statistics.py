"""Aggregated values with 95 % bootstrap intervals.

A mean, a corpus ratio and a pooled root mean square are functions of two sums, so one bootstrap serves all three. Clips
of one speaker (or talk) are not independent: where a list has enough speakers, speakers are resampled, not clips
(Efron and Tibshirani 1993; BCa as implemented by scipy).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2v_bench.metrics.aggregation import reduce_sums, sum_units

RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_UNITS = 3
EQUAL_TOLERANCE = 1e-12  # relative difference of two orders of the same additions


@dataclass(frozen=True, slots=True)
class Estimate:
    """Aggregated value of one system in one column.

    Attributes:
        value: aggregate, or None where no clip is scored.
        low, high: 95 % interval, or None where there are too few units.
        scored, expected: clips with a value, and clips of the list.
        units: resampled units, ``clips`` or ``speakers``.
    """

    value: float | None
    low: float | None
    high: float | None
    scored: int
    expected: int
    units: str


def estimate(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[str], aggregate: str, expected: int
) -> Estimate:
    """Aggregate clip values and estimate a 95 % interval, the same on every machine (fixed seed).

    Args:
        values: values of the scored clips, ``(n,)``.
        weights: weights in ratios and root mean squares, ``(n,)``.
        clusters: speaker or talk of each clip, ``(n,)``.
        aggregate: ``mean``, ``ratio`` or ``rms``.
        expected: number of clips that should have a value.
    """
    if not values:
        return Estimate(None, None, None, 0, expected, "clips")
    sums = sum_units(values, weights, clusters, aggregate)
    if sums.value is None:
        return Estimate(None, None, None, 0, expected, sums.unit)
    low, high = bca_interval(
        (sums.numerators, sums.denominators), lambda n, d, axis=-1: reduce_sums(n, d, sums.takes_root, axis), sums.value
    )
    return Estimate(sums.value, low, high, len(values), expected, sums.unit)


def bca_interval(
    columns: Sequence[NDArray[np.float64]], statistic: Callable[..., NDArray[np.float64]], observed: float
) -> tuple[float | None, float | None]:
    """Return the 95 % BCa bootstrap interval of a statistic of paired columns.

    Args:
        columns: arrays ``(units,)`` whose rows are resampled together.
        statistic: function of the columns, along ``axis``.
        observed: value of the statistic on the data.

    Returns:
        Low and high edge: both ``observed`` where all resamples agree, both None where there are too few units or
        BCa is not defined.
    """
    from scipy.stats import bootstrap

    if len(columns[0]) < MIN_UNITS:
        return None, None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # degenerate resamples give NaN, which is handled below
        result = bootstrap(
            tuple(columns),
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(0),
        )
    if np.ptp(result.bootstrap_distribution) <= EQUAL_TOLERANCE * max(1.0, abs(observed)):
        return observed, observed
    low, high = (float(edge) for edge in result.confidence_interval)
    return (low, high) if np.isfinite(low) and np.isfinite(high) else (None, None)
