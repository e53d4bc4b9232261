"""Aggregation of clip values to the value of a system: mean, weighted ratio and root mean square.

Each aggregate is a function of two sums over clips, a numerator and a denominator. The sums are kept per unit of
resampling, a clip or a speaker, so that bootstrap and permutation tests recompute an aggregate from its units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CLUSTERS = 8  # speakers are the units from this number on; fewer give unreliable intervals, so clips are resampled


@dataclass(frozen=True, slots=True)
class UnitSums:
    """Sums of an aggregate over the clips of each unit.

    Attributes:
        numerators: sums of weighted values, ``(units,)``.
        denominators: sums of weights, ``(units,)``.
        takes_root: True where the aggregate is the square root of the ratio.
        unit: ``clips`` or ``speakers``.
    """

    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]
    takes_root: bool
    unit: str

    @property
    def value(self) -> float | None:
        """Aggregate over all units, or None where the weights sum to 0."""
        if not self.denominators.sum():
            return None
        return float(reduce_sums(self.numerators, self.denominators, self.takes_root))


def sum_units(values: Sequence[float], weights: Sequence[float], clusters: Sequence[str], aggregate: str) -> UnitSums:
    """Sum clip values by speaker where there are at least ``MIN_CLUSTERS`` speakers, else by clip.

    Args:
        values: values of the scored clips, ``(n,)``.
        weights: weights in ratios and root mean squares, ``(n,)``.
        clusters: speaker or talk of each clip, ``(n,)``.
        aggregate: ``mean``, ``ratio`` or ``rms``, see ``metrics.base.Aggregate``.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if aggregate == "mean":
        weight = np.ones_like(value)
    weighted = weight * (value**2 if aggregate == "rms" else value)
    unit, index = "clips", np.arange(len(value))
    names, speaker_index = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) >= MIN_CLUSTERS:
        unit, index = "speakers", speaker_index
    numerators, denominators = (np.bincount(index, sums).astype(np.float64) for sums in (weighted, weight))
    return UnitSums(numerators, denominators, aggregate == "rms", unit)


def reduce_sums(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], takes_root: bool, axis: int = -1
) -> NDArray[np.float64]:
    """Return the aggregate of sums along ``axis``."""
    ratio: NDArray[np.float64] = numerators.sum(axis=axis) / denominators.sum(axis=axis)
    return np.sqrt(ratio) if takes_root else ratio
