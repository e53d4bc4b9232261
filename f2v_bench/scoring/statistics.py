"""From clip values to one number with its 95 % interval.

A mean, a corpus ratio and a pooled root mean square are all functions of two sums, so one bootstrap serves them. Clips
of one speaker (or talk) are not independent: where a list has enough speakers, speakers are resampled, not clips
(Efron and Tibshirani 1993; BCa as implemented by scipy).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2v_bench.metrics.aggregation import quotient, unit_sums

RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_UNITS = 3
SAME = 1e-12  # relative: what two orders of the same additions may differ by


@dataclass(frozen=True, slots=True)
class Estimate:
    """An aggregated value.

    Attributes:
        value: the number, or None where no clip was scored.
        low, high: its 95 % interval, or None where there are too few units for one.
        scored, expected: clips with a value, and clips of the list.
        units: what was resampled, ``clips`` or ``speakers``.
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
    """Aggregate clip values.

    Args:
        values: as ``unit_sums`` takes them, ``(n,)``.
        weights: likewise.
        clusters: likewise.
        aggregate: likewise.
        expected: clips that should have a value.

    Returns:
        The number, its interval and its coverage. The interval is the same on every machine (fixed seed).
    """
    if not values:
        return Estimate(None, None, None, 0, expected, "clips")
    sums = unit_sums(values, weights, clusters, aggregate)
    if sums.value is None:
        return Estimate(None, None, None, 0, expected, sums.units)
    low, high = bca_interval(
        (sums.tops, sums.bottoms), lambda t, b, axis=-1: quotient(t, b, sums.root, axis), sums.value
    )
    return Estimate(sums.value, low, high, len(values), expected, sums.units)


def bca_interval(
    columns: Sequence[NDArray[np.float64]], statistic: Callable[..., NDArray[np.float64]], number: float
) -> tuple[float | None, float | None]:
    """The 95 % BCa bootstrap interval of a statistic of paired columns.

    Args:
        columns: arrays ``(units,)`` whose rows are resampled together.
        statistic: of the columns, along ``axis``.
        number: its value on the data.

    Returns:
        Low and high edge: both ``number`` where every resample agrees, both None where there are too few units or
        BCa is not defined.
    """
    from scipy.stats import bootstrap

    if len(columns[0]) < MIN_UNITS:
        return None, None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # degenerate resamples end in NaN, which is dealt with below
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
    if np.ptp(result.bootstrap_distribution) <= SAME * max(1.0, abs(number)):
        return number, number
    low, high = (float(edge) for edge in result.confidence_interval)
    return (low, high) if np.isfinite(low) and np.isfinite(high) else (None, None)
