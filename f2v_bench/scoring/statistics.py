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

RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_CLUSTERS = 8  # fewer speakers than this say too little about speakers: clips are resampled instead
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


@dataclass(frozen=True, slots=True)
class Sums:
    """An aggregate's numerators and denominators, added up within each unit of resampling.

    Attributes:
        tops, bottoms: ``(units,)``; the aggregate is sum(tops) / sum(bottoms), or its root.
        root: whether a square root is taken at the end.
        units: what a unit is, ``clips`` or ``speakers``.
    """

    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]
    root: bool
    units: str

    @property
    def value(self) -> float | None:
        """The aggregate, or None where nothing carries weight."""
        return float(quotient(self.tops, self.bottoms, self.root)) if self.bottoms.sum() else None


def unit_sums(values: Sequence[float], weights: Sequence[float], clusters: Sequence[str], aggregate: str) -> Sums:
    """Sums of clip values, by speaker where there are at least ``MIN_CLUSTERS`` speakers, else by clip.

    Args:
        values: one a scored clip, ``(n,)``.
        weights: what ratios and root mean squares weigh a clip with, ``(n,)``.
        clusters: the speaker or talk of each clip, ``(n,)``.
        aggregate: ``mean``, ``ratio`` or ``rms``, as metrics.contract.Aggregate.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if aggregate == "mean":
        weight = np.ones_like(value)
    top = weight * (value**2 if aggregate == "rms" else value)
    units, index = "clips", np.arange(len(value))
    names, membership = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) >= MIN_CLUSTERS:
        units, index = "speakers", membership
    tops, bottoms = (np.bincount(index, sums).astype(np.float64) for sums in (top, weight))
    return Sums(tops, bottoms, aggregate == "rms", units)


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


def quotient(
    tops: NDArray[np.float64], bottoms: NDArray[np.float64], root: bool, axis: int = -1
) -> NDArray[np.float64]:
    """The aggregate of sums along ``axis``."""
    ratio: NDArray[np.float64] = tops.sum(axis=axis) / bottoms.sum(axis=axis)
    return np.sqrt(ratio) if root else ratio


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
