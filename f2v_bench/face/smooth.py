"""Series over time: fill gaps, and take out jitter without taking out motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def filled(series: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(T, ...)`` with NaN replaced by what lies on the line between the neighbours, or by the nearest at an end.

    A column that is NaN throughout stays so.
    """
    flat = series.reshape(len(series), -1).astype(np.float64)
    times = np.arange(len(flat))
    for column in flat.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(times[~known], times[known], column[known])
    return flat.reshape(series.shape)


def smoothed(series: NDArray[np.floating], sigma: float, median: int = 1) -> NDArray[np.float64]:
    """``(T, ...)`` through a running median, against outliers, and a Gaussian, against noise.

    Args:
        series: without NaN.
        sigma: of the Gaussian, in frames.
        median: width of the median in frames, odd; 1 is none.
    """
    from scipy.ndimage import gaussian_filter1d, median_filter

    calm = series.astype(np.float64)
    if median > 1:
        calm = median_filter(calm, size=(median, *[1] * (series.ndim - 1)), mode="nearest")
    out: NDArray[np.float64] = gaussian_filter1d(calm, sigma, axis=0, mode="nearest", truncate=3.0)
    return out
