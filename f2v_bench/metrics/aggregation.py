"""Aggregation of clip values into a system's value: means, ratios and root mean squares, summed per clip or speaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CLUSTERS = 8  # fewer speakers than this say too little about speakers: clips are resampled instead


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


def quotient(
    tops: NDArray[np.float64], bottoms: NDArray[np.float64], root: bool, axis: int = -1
) -> NDArray[np.float64]:
    """The aggregate of sums along ``axis``."""
    ratio: NDArray[np.float64] = tops.sum(axis=axis) / bottoms.sum(axis=axis)
    return np.sqrt(ratio) if root else ratio
