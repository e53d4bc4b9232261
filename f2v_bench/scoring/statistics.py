"""From clip values to one number with its 95 % interval.

A mean, a corpus ratio and a pooled root mean square are all functions of two sums, so one bootstrap serves them. Clips
of one speaker (or talk) are not independent: where a list has enough speakers, speakers are resampled, not clips
(Efron and Tibshirani 1993; BCa as implemented by scipy).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_CLUSTERS = 8  # fewer speakers than this say too little about speakers: clips are resampled instead
MIN_UNITS = 3


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
        values: one a scored clip, ``(n,)``.
        weights: what ratios and root mean squares weigh a clip with, ``(n,)``.
        clusters: the speaker or talk of each clip, ``(n,)``.
        aggregate: ``mean``, ``ratio`` or ``rms``, as metrics.contract.Aggregate.
        expected: clips that should have a value.

    Returns:
        The number, its interval and its coverage. The interval is the same on every machine (fixed seed).
    """
    if not values:
        return Estimate(None, None, None, 0, expected, "clips")
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if aggregate == "mean":
        weight = np.ones_like(value)
    top = weight * (value**2 if aggregate == "rms" else value)
    units, index = "clips", np.arange(len(value))
    names, membership = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) >= MIN_CLUSTERS:
        units, index = "speakers", membership
    tops, bottoms = (np.bincount(index, sums).astype(np.float64) for sums in (top, weight))
    if bottoms.sum() == 0:
        return Estimate(None, None, None, 0, expected, units)
    number = float(_ratio(tops, bottoms, aggregate == "rms"))
    low, high = _interval(tops, bottoms, aggregate == "rms", number)
    return Estimate(number, low, high, len(values), expected, units)


def _ratio(tops: NDArray[np.float64], bottoms: NDArray[np.float64], root: bool, axis: int = -1) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = tops.sum(axis=axis) / bottoms.sum(axis=axis)
    return np.sqrt(ratio) if root else ratio


def _interval(
    tops: NDArray[np.float64], bottoms: NDArray[np.float64], root: bool, number: float
) -> tuple[float | None, float | None]:
    from scipy.stats import bootstrap

    if len(tops) < MIN_UNITS:
        return None, None
    if np.ptp(tops) == 0 and np.ptp(bottoms) == 0:
        return number, number  # all units agree; BCa is undefined there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degenerate resamples end in NaN, which is dealt with below
        result = bootstrap(
            (tops, bottoms),
            lambda t, b, axis=-1: _ratio(t, b, root, axis),
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(0),
        )
    low, high = (float(edge) for edge in result.confidence_interval)
    return (low, high) if np.isfinite(low) and np.isfinite(high) else (None, None)
