"""Time series of points: gap filling and smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fill_gaps(series: NDArray[np.floating]) -> NDArray[np.float64]:
    """Interpolate NaN of a series ``(T, ...)`` linearly over time, constant beyond the first and last value.

    A column of NaN alone stays NaN.
    """
    flat = series.reshape(len(series), -1).astype(np.float64)
    times = np.arange(len(flat))
    for column in flat.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(times[~known], times[known], column[known])
    return flat.reshape(series.shape)


def smooth(series: NDArray[np.floating], sigma: float, median: int = 1) -> NDArray[np.float64]:
    """Smooth a series ``(T, ...)`` by a running median, against outliers, and a Gaussian, against noise.

    Args:
        series: values over time, without NaN.
        sigma: standard deviation of the Gaussian, in frames.
        median: width of the median, in frames, odd; 1 disables it.
    """
    from scipy.ndimage import gaussian_filter1d, median_filter

    filtered = series.astype(np.float64)
    if median > 1:
        filtered = median_filter(filtered, size=(median, *[1] * (series.ndim - 1)), mode="nearest")
    out: NDArray[np.float64] = gaussian_filter1d(filtered, sigma, axis=0, mode="nearest", truncate=3.0)
    return out
